import { afterEach, describe, expect, test, vi } from 'vitest'
import { AppError } from '../../../../src/errors.ts'
import { decodeFailure } from '../../../../src/transform/executor/decode-failure.ts'
import { executePlan } from '../../../../src/transform/executor/execute-plan.ts'
import { probeImage } from '../../../../src/transform/executor/probe-image.ts'
import type { Operation } from '../../../../src/transform/image/operation.ts'
import { fourQuarters, planOf } from '../../../helpers/render-fixtures.ts'

const limits = { maxPixels: 50_000_000, timeoutSeconds: 20 }
afterEach(() => vi.unstubAllEnvs())

describe('whose fault a failure is', () => {
  const noSpace = Object.assign(new Error("ENOSPC: no space left on device, open '/t/a.icc'"), {
    code: 'ENOSPC',
    errno: -28,
  })
  test.each<[string, unknown, string]>([
    ['a wrong call in our code', new TypeError('pipeline.foo is not a function'), 'internal'],
    ['an index out of range', new RangeError('The value of "offset" is out of range'), 'internal'],
    ['a name that is not there', new ReferenceError('foo is not defined'), 'internal'],
    ['a full disk', noSpace, 'internal'],
    [
      'a full disk as libvips tells it',
      new Error('wtarget: write error\nunix error: No space left on device'),
      'internal',
    ],
    [
      'a wrong call of sharp',
      new Error('Expected positive integer for width but received -4 of type number'),
      'internal',
    ],
    ['an own file that is gone', new Error('Input file is missing: /proc/self/fd/21'), 'internal'],
    [
      'an own file that libvips may not open',
      new Error('VipsSource: unable to open "/proc/self/fd/21" for read'),
      'internal',
    ],
    ['what is no error', 'a string', 'internal'],
    ['damage', new Error('VipsJpeg: premature end of JPEG image'), 'undecodable'],
    ['a header', new Error('Input buffer has corrupt header: webp: cannot parse'), 'undecodable'],
    [
      'an SVG that refers to itself too often',
      new Error('svgload_buffer: SVG rendering failed\nglib: exceeded more than 500000 referenced elements'),
      'undecodable',
    ],
    ['too many pixels', new Error('Input image exceeds pixel limit'), 'too_many_pixels'],
    ['an SVG drawn too large', new Error('Input SVG image exceeds 32767x32767 pixel limit'), 'too_many_pixels'],
    ['a timeout', new Error('timeout: 43% complete'), 'render_too_slow'],
    ['a judgement already made', new AppError('not_an_image'), 'not_an_image'],
  ])('%s', (_name, thrown, code) => {
    expect(decodeFailure(thrown).code).toBe(code)
  })
})

describe('a picture that is sound is never called undecodable', () => {
  test('when there is no room for a temporary file', async () => {
    vi.stubEnv('TMPDIR', '/nowhere/to/be/found')
    const bytes = await fourQuarters()
    const metadata = await probeImage(bytes, limits)
    const plan = planOf(metadata, [], { color: 'adobergb1998' })
    await expect(executePlan(bytes, metadata, plan, limits)).rejects.toMatchObject({ code: 'internal', status: 500 })
  })

  test('when the plan asks for what the executor does not know', async () => {
    const bytes = await fourQuarters()
    const metadata = await probeImage(bytes, limits)
    const plan = planOf(metadata, [{ op: 'paint' } as unknown as Operation])
    await expect(executePlan(bytes, metadata, plan, limits)).rejects.toMatchObject({ code: 'internal' })
  })
})
