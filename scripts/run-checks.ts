/** `npm run check`: format, lint, types, generated docs in sync, unit and architecture tests. `--quick` leaves the tests out. */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const quick = process.argv.includes('--quick')
const node = process.execPath

const steps: readonly (readonly [name: string, ...command: string[]])[] = [
  ['format', node, 'node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'],
  ['types', node, 'node_modules/tsgo/bin/tsc', '-p', '.'],
  ['lint', node, 'node_modules/eslint/bin/eslint.js', '--max-warnings=0', '.'],
  ['docs in sync', node, 'scripts/generate-docs.ts', '--check'],
  ...(quick
    ? []
    : ([
        [
          'unit',
          node,
          'node_modules/vitest/vitest.mjs',
          'run',
          'test/unit',
          'test/contract',
          'test/architecture.test.ts',
        ],
      ] as const)),
]

let failed = 0
for (const [name, command, ...args] of steps) {
  const startedMs = performance.now()
  const { status } = spawnSync(command ?? node, args, { cwd: root, stdio: 'inherit' })
  const ok = status === 0
  if (!ok) failed += 1
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`)
}
process.exit(failed === 0 ? 0 : 1)
