import type { ParamDefinition } from './define-param.ts'
import { registryEntries } from './registry.ts'
import type { ParamName, registry } from './registry.ts'

type ValueOf<Definition> = Definition extends ParamDefinition<infer Value> ? Value : never

/** The typed parameters of one request, by their names in URLs. Absent ones are not there: no default is filled in. */
export type Params = { readonly [Name in ParamName]?: ValueOf<(typeof registry)[Name]> }

/** Whether anything asks for a rendering; without that the original is passed through, as imgix does. */
export function triggersRender(params: Params): boolean {
  return registryEntries.some(({ name, definition }) => definition.effect === 'pixels' && Object.hasOwn(params, name))
}
