/** Bundles `src/client/` into the one file that `halftone/client` is. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { rolldown } from 'rolldown'

const root = resolve(import.meta.dirname, '..')

/** `client.js`, minified for pages that take it as it is, with its source map. */
export async function bundleClient(folder: string): Promise<void> {
  const bundle = await rolldown({ input: join(root, 'src/client/client.ts'), platform: 'browser' })
  await bundle.write({ file: join(folder, 'client.js'), format: 'esm', minify: true, sourcemap: true })
  await bundle.close()
}

/** `client.d.ts` before the declarations that the compiler has written into `client/`. */
export function placeTypes(folder: string): void {
  const modules = join(folder, 'client')
  for (const name of readdirSync(modules)) {
    const file = join(modules, name)
    // The compiler leaves the extensions in declarations as they are.
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(".ts'", ".js'"))
  }
  writeFileSync(join(folder, 'client.d.ts'), "export * from './client/client.js'\n")
}
