import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { outside } from '../../../scripts/bundle-server.ts'
import { builtEntry } from '../../helpers/run-halftone.ts'
import { projectRoot } from '../../helpers/start-halftone.ts'

const isOutside = (name: string) => outside.some((one) => (typeof one === 'string' ? one === name : one.test(name)))

test('what modules expect beside themselves stands beside the bundle', () => {
  const beside = globSync('src/**/*.ts', { cwd: projectRoot, exclude: ['src/playground/**', 'src/client/**'] }).flatMap(
    (file) =>
      [...readFileSync(join(projectRoot, file), 'utf8').matchAll(/new URL\(\s*['"`](\.[^'"`]*)/g)].map(
        ([, target]) => target ?? '',
      ),
  )
  const bundled = beside.map((target) => target.replace('${extension}', '.js'))
  expect(bundled.sort()).toEqual(['./heic-worker.js', './playground/', './renderer.js'])
  for (const target of bundled) expect(existsSync(join(dirname(builtEntry), target)), target).toBe(true)
  for (const page of globSync('**/*', { cwd: join(projectRoot, 'src/playground') }))
    expect(existsSync(join(dirname(builtEntry), 'playground', page)), page).toBe(true)
})

test('native packages are left outside', () => {
  const { dependencies } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const native = Object.keys(dependencies).filter((name) => {
    const folder = join(projectRoot, 'node_modules', name)
    const facts = readFileSync(join(folder, 'package.json'), 'utf8')
    return existsSync(join(folder, 'binding.gyp')) || /"(node-gyp-build|prebuild-install|@img\/sharp)/.test(facts)
  })
  expect(native).toEqual(expect.arrayContaining(['better-sqlite3', 'sharp']))
  expect(native.filter((name) => !isOutside(name))).toEqual([])
})
