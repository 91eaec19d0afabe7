import { dirname } from 'node:path'
import { getCompileCacheDir } from 'node:module'
import { afterEach, expect, test, vi } from 'vitest'
import { rendererEnvironment } from '../../../../src/transform/executor/renderer-environment.ts'

afterEach(() => vi.unstubAllEnvs())

test('a renderer gets nothing of the environment of the front but where compiled code and temporary files are kept', () => {
  vi.stubEnv('HALFTONE_SIGNING_KEYS', 'k1:secret')
  vi.stubEnv('TMPDIR', '/var/scratch')
  const directory = getCompileCacheDir()
  const environment = rendererEnvironment('off')
  expect(environment['NODE_COMPILE_CACHE']).toBe(directory === undefined ? undefined : dirname(directory))
  expect(environment['TMPDIR']).toBe('/var/scratch')
  expect(Object.keys(environment).filter((name) => name !== 'NODE_COMPILE_CACHE')).toEqual([
    'LANG',
    'UV_THREADPOOL_SIZE',
    'TMPDIR',
    'MALLOC_ARENA_MAX',
    'MALLOC_MMAP_THRESHOLD_',
    'MALLOC_TRIM_THRESHOLD_',
    'GLIBC_TUNABLES',
  ])
})
