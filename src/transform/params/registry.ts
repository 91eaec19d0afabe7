import type { ParamDefinition } from './define-param.ts'
import { autoParams } from './groups/auto.ts'
import { fillParams } from './groups/fill.ts'
import { focalPointParams } from './groups/focal-point.ts'
import { formatParams } from './groups/format.ts'
import { httpParams, transportParams } from './groups/http.ts'
import { pixelDensityParams } from './groups/pixel-density.ts'
import { rotationParams } from './groups/rotation.ts'
import { sizeParams } from './groups/size.ts'

/** Every parameter that is applied, by its name in URLs. A new group is one line here. */
export const registry = {
  ...sizeParams,
  ...focalPointParams,
  ...pixelDensityParams,
  ...formatParams,
  ...autoParams,
  ...fillParams,
  ...rotationParams,
  ...httpParams,
}

export type ParamName = keyof typeof registry

/** One parameter with its type forgotten, for code that treats all of them alike. */
export type RegistryEntry = { readonly name: string; readonly definition: ParamDefinition<unknown> }

export const registryEntries: readonly RegistryEntry[] = Object.entries({ ...registry, ...transportParams })
  .map(([name, definition]) => ({ name, definition }))
  .sort((a, b) => (a.name < b.name ? -1 : 1))

/** A spelling that the query may use for a parameter. */
export type Spelling = { readonly entry: RegistryEntry; readonly base64: boolean }

/** Name, aliases and the `64` twin of each. */
export const spellings: ReadonlyMap<string, Spelling> = new Map(
  registryEntries.flatMap((entry) =>
    [entry.name, ...entry.definition.aliases].flatMap((name): [string, Spelling][] => {
      const plain: [string, Spelling] = [name, { entry, base64: false }]
      return entry.definition.base64 ? [plain, [`${name}64`, { entry, base64: true }]] : [plain]
    }),
  ),
)
