/**
 * The server as sixty files: Node looks for, opens and links each of 1,250 modules on its own, which is two fifths of a start.
 *   node scripts/bundle-server.ts <folder>
 */
import { cpSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = resolve(import.meta.dirname, '..')

/** What runs as a process or thread of its own; each finds the others beside itself. */
const entries = {
  main: 'src/main.ts',
  renderer: 'src/transform/executor/renderer.ts',
  'heic-worker': 'src/transform/executor/heic-worker.ts',
}

/** Left in node_modules (tests hold the first): what is native, has files beside its code, or is large and loaded by few. */
export const outside: readonly (string | RegExp)[] = [
  'better-sqlite3',
  'sharp',
  'pino',
  'heic-decode',
  'undici',
  'pg',
  /^@aws-sdk\//,
]

/** `main.js` and all it needs of this repository, in a folder that may stand anywhere inside it. Names stay as they are, so that stacks can be read. */
export async function bundleServer(folder: string): Promise<void> {
  const bundle = await rolldown({ cwd: root, input: entries, platform: 'node', external: [...outside] })
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' })
  await bundle.close()
  cpSync(join(root, 'src/playground'), join(folder, 'playground'), { recursive: true })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder] = process.argv
  if (folder === undefined) throw new Error('usage: node scripts/bundle-server.ts <folder>')
  await bundleServer(resolve(folder)).catch((error: unknown) => {
    // What is wrong with the sources, without where in the bundler that was found.
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  })
}
