import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { jemallocOptions, launchEnvironment, nodeFlags } from '../../../scripts/launch-options.mjs'
import { projectRoot } from '../../helpers/start-halftone.ts'

test('the image starts the server as a clone does', () => {
  const dockerfile = readFileSync(`${projectRoot}/Dockerfile`, 'utf8')
  const entry = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1] ?? '') as string[]
  // Compiled code has no types to strip, so nothing warns of it.
  expect(entry).toEqual(['node', ...nodeFlags.filter((flag) => !flag.startsWith('--disable-warning')), 'dist/main.js'])
  expect(dockerfile).toContain(`MALLOC_CONF=${jemallocOptions} `)
  expect(dockerfile).toContain('LD_PRELOAD=libjemalloc.so.2 ')
  expect(dockerfile).toContain(`UV_THREADPOOL_SIZE=${launchEnvironment('')['UV_THREADPOOL_SIZE']} `)
})
