import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../../src/errors.ts'
import { inputFormats } from '../../../src/transform/image/formats.ts'
import { uprightSize } from '../../../src/transform/image/geometry.ts'
import type { Size } from '../../../src/transform/image/geometry.ts'
import type { ImageMetadata, Orientation } from '../../../src/transform/image/image-metadata.ts'
import type { Operation } from '../../../src/transform/image/operation.ts'
import { detectCapabilities } from '../../../src/transform/negotiation/detect-capabilities.ts'
import { appliedParams, canonicalParams } from '../../../src/transform/params/canonicalize.ts'
import { triggersRender } from '../../../src/transform/params/params.ts'
import { parseParams } from '../../../src/transform/params/parse-params.ts'
import type { ParsedParams } from '../../../src/transform/params/parse-params.ts'
import { spellings } from '../../../src/transform/params/registry.ts'
import { snapParams } from '../../../src/transform/params/snap-params.ts'
import { lenientParams, planLimits, planQuery } from '../../helpers/plan-request.ts'
import type { RenderPlan } from '../../helpers/plan-request.ts'

const numbers = fc.oneof(
  fc.integer({ min: -5, max: 10_000 }).map(String),
  fc.double({ min: 0, max: 8, noNaN: true }).map((value) => value.toFixed(4)),
  fc.constantFrom('', '1', '1.0', '0.0000001', '9'.repeat(400), '1e9', '-0', 'NaN', 'Infinity'),
)
const words = fc.constantFrom(
  ...['clip', 'max', 'crop', 'fill', 'fillmax', 'clamp', 'min', 'scale', 'facearea', 'top', 'left', 'right', 'bottom'],
  ...['focalpoint', 'entropy', 'edges', 'faces', 'center', 'middle', 'full', 'format', 'compress', 'enhance', 'true'],
  ...['jpg', 'png8', 'png32', 'webp', 'avif', 'gif', 'mp4', 'red', '8f00', 'blur', 'gen', 'hv', '90', 'strip'],
)
const values = fc.oneof(
  numbers,
  words,
  fc.array(fc.oneof(numbers, words), { maxLength: 5 }).map((parts) => parts.join(',')),
  fc.tuple(numbers, numbers).map(([width, height]) => `${width}:${height}`),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('%', '%E0%A4%A', '%00', '\uD800', 'constructor', 'NDAw', '____', '%2B', 'a+b'),
)
const names = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...spellings.keys()) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', 'preset') },
)
const queries = fc
  .array(fc.tuple(names, values), { maxLength: 9 })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'))

/** Params that mostly are valid and concern size, so that the planner has work to do. */
const sides = fc.oneof(
  fc.integer({ min: 2, max: 9000 }).map(String),
  fc.integer({ min: 1, max: 100 }).map((share) => String(share / 100)),
)
const fits = fc.constantFrom('clip', 'max', 'crop', 'fill', 'fillmax', 'clamp', 'min', 'scale', 'facearea')
const crops = fc.constantFrom('top,left', 'bottom', 'right', 'focalpoint', 'entropy', 'edges', 'faces')
const sizeQueries = fc
  .record(
    {
      w: sides,
      h: sides,
      fit: fits,
      crop: crops,
      ar: fc.constantFrom('1:1', '16:9', '1:10000', '10000:1', '0.3:7'),
      dpr: fc.constantFrom('0.01', '0.5', '0.999', '1.0001', '1.5', '3', '5'),
      rect: fc.constantFrom(
        '10,10,50,50',
        'center,middle,0.5,0.5',
        '0.9,0.9,0.5,full',
        'right,bottom,1,1',
        '5000,0,9,9',
      ),
      'fp-x': fc.constantFrom('0', '0.33', '1'),
      'fp-y': fc.constantFrom('0', '0.77', '1'),
      'fp-z': fc.constantFrom('1', '1.5', '99'),
      'max-w': fc.constantFrom('1', '50', '500'),
      'max-h': fc.constantFrom('1', '77', '3001'),
      'min-w': fc.constantFrom('1', '33', '4097'),
      'min-h': fc.constantFrom('1', '50', '8192'),
      orient: fc.constantFrom('0', '3', '90'),
      fm: fc.constantFrom('jpg', 'png', 'webp', 'avif', 'gif'),
      auto: fc.constantFrom('format', 'compress', 'format,compress,enhance'),
      flip: fc.constantFrom('h', 'hv'),
      bg: fc.constantFrom('red', '80fff'),
      fill: fc.constantFrom('solid', 'blur'),
    },
    { requiredKeys: [] },
  )
  .map((params) => new URLSearchParams(params as Record<string, string>).toString())

const pictureSides = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9000 }))
const pictures: fc.Arbitrary<ImageMetadata> = fc.record({
  format: fc.constantFrom(...inputFormats),
  width: pictureSides,
  height: pictureSides,
  orientation: fc.constantFrom<Orientation>(1, 2, 3, 4, 5, 6, 7, 8),
  hasAlpha: fc.boolean(),
  frames: fc.constantFrom(1, 1, 1, 3, 40),
  colorSpace: fc.constant('srgb'),
  hasProfile: fc.boolean(),
  byteLength: fc.constant(1000),
})
const clients = fc.record({ avif: fc.boolean(), webp: fc.boolean() })

function parseOrRefuse(query: string, strict: boolean): ParsedParams | undefined {
  try {
    return parseParams(query, { strict, defaults: 'auto=format', presets: { card: 'w=9' } })
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(AppError)
    expect(thrown).toMatchObject({ code: 'param_invalid' })
    return undefined
  }
}

describe('params', () => {
  test('any query is understood or refused with param_invalid', () => {
    fc.assert(
      fc.property(fc.oneof(queries, fc.string({ unit: 'binary', maxLength: 200 })), fc.boolean(), (query, strict) => {
        const parsed = parseOrRefuse(query, strict)
        if (!parsed) return
        expect(appliedParams(parsed.params)).toMatch(/^[\x21-\x7e]*$/)
        expect(canonicalParams(parsed.params)).toMatch(/^[a-z0-9=&,:.-]*$/)
        for (const { name, value } of parsed.ignored) expect(name + value).toMatch(/^[\x20-\x7e]*$/)
      }),
      { numRuns: 1500 },
    )
  })

  test('the canonical spelling means the same and is its own canonical spelling', () => {
    fc.assert(
      fc.property(fc.oneof(queries, sizeQueries), (query) => {
        const params = parseOrRefuse(query, false)?.params
        if (!params) return
        const canonical = canonicalParams(params)
        expect(canonicalParams(lenientParams(canonical))).toBe(canonical)
        expect(canonical === '').toBe(!triggersRender(params))
      }),
      { numRuns: 1500 },
    )
  })

  test('equal keys mean equal plans', () => {
    fc.assert(
      fc.property(sizeQueries, pictures, (query, metadata) => {
        const canonical = canonicalParams(lenientParams(query))
        expect(planOrCode(canonical, metadata)).toEqual(planOrCode(query, metadata))
      }),
      { numRuns: 800 },
    )
  })

  test('snapping leaves only widths of the ladder and settles at once', () => {
    const widths = [100, 320, 640, 1280]
    fc.assert(
      fc.property(sizeQueries, (query) => {
        const ladders = { widths, qualities: [50, 75] }
        const snapped = snapParams(lenientParams(query), ladders)
        if (snapped.w?.unit === 'px' && snapped.h?.unit !== 'share') expect(widths).toContain(snapped.w.value)
        expect(snapParams(snapped, ladders)).toEqual(snapped)
      }),
    )
  })

  test.each([
    ['w', `w=${'9'.repeat(8000)}`],
    ['many', 'w=1&'.repeat(2000)],
    ['list', `crop=${'faces,'.repeat(1300)}`],
    ['rect', `rect=${','.repeat(8000)}`],
    ['ar', `ar=${':'.repeat(8000)}`],
    ['base64', `dl64=${'A'.repeat(7999)}`],
    ['escapes', '%'.repeat(8000)],
    ['decimals', `dpr=${'0'.repeat(8000)}.`],
  ])('8000 characters of %s take no time', (_, query) => {
    const start = performance.now()
    parseOrRefuse(query, false)
    parseOrRefuse(query, true)
    expect(performance.now() - start).toBeLessThan(200)
  })
})

test('any Accept header is harmless', () => {
  const tokens = fc.constantFrom(
    'image/avif',
    'image/webp',
    '*/*',
    ';q=0',
    ';q=',
    ',',
    '"',
    '\\',
    '=',
    ' ',
    ';',
    '\u0000',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(tokens).map((parts) => parts.join('')),
      ),
      (accept) => {
        const { avif, webp } = detectCapabilities(accept)
        if (avif) expect(accept.toLowerCase()).toContain('image/avif')
        if (webp) expect(accept.toLowerCase()).toContain('image/webp')
      },
    ),
    { numRuns: 1000 },
  )
})

function planOrCode(query: string, metadata: ImageMetadata, client = { avif: true, webp: true }) {
  try {
    return planQuery(query, metadata, client)
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(AppError)
    return thrown instanceof AppError ? thrown.code : 'bug'
  }
}

describe('plans', () => {
  test('walk from the original to the size promised, in whole px, and never outside the picture', () => {
    fc.assert(
      fc.property(sizeQueries, pictures, clients, (query, metadata, client) => {
        const plan = planOrCode(query, metadata, client)
        if (typeof plan === 'string') {
          expect(plan).toBe('too_many_pixels')
          return
        }
        if (plan.kind === 'passthrough') return
        expect(followOperations(plan, metadata)).toEqual({ width: plan.width, height: plan.height })
        expectSides({ width: plan.width, height: plan.height }, planLimits.maxOutputSide)
      }),
      { numRuns: 3000 },
    )
  })

  test('an SVG never breaks a limit', () => {
    fc.assert(
      fc.property(sizeQueries, pictures, (query, metadata) => {
        const plan = planOrCode(query, { ...metadata, format: 'svg', frames: 1 })
        expect(plan).toBeTypeOf('object')
      }),
      { numRuns: 500 },
    )
  })
})

/** Carries the operations out on a bare size, checking each. */
function followOperations(plan: RenderPlan, metadata: ImageMetadata): Size {
  const drawn = {
    width: Math.max(1, Math.round(metadata.width * plan.input.scale)),
    height: Math.max(1, Math.round(metadata.height * plan.input.scale)),
  }
  return plan.operations.reduce((size, operation) => followOperation(size, operation), drawn)
}

function followOperation(size: Size, operation: Operation): Size {
  switch (operation.op) {
    case 'orient':
      return uprightSize(size, operation.orientation)
    case 'extract':
      expect(operation.left).toBeGreaterThanOrEqual(0)
      expect(operation.top).toBeGreaterThanOrEqual(0)
      expect(operation.left + operation.width).toBeLessThanOrEqual(size.width)
      expect(operation.top + operation.height).toBeLessThanOrEqual(size.height)
      return expectSides({ width: operation.width, height: operation.height }, Infinity)
    case 'resize':
      return expectSides({ width: operation.width, height: operation.height }, 9000)
    case 'crop':
      expect(operation.width).toBeLessThanOrEqual(size.width)
      expect(operation.height).toBeLessThanOrEqual(size.height)
      return expectSides({ width: operation.width, height: operation.height }, Infinity)
    case 'extend': {
      const { top, right, bottom, left } = operation
      for (const side of [top, right, bottom, left]) expect(side).toBeGreaterThanOrEqual(0)
      return { width: size.width + left + right, height: size.height + top + bottom }
    }
    case 'flip':
    case 'flatten':
    case 'enhance':
      return size
  }
}

function expectSides(size: Size, maxSide: number): Size {
  for (const side of [size.width, size.height]) {
    expect(Number.isInteger(side)).toBe(true)
    expect(side).toBeGreaterThanOrEqual(1)
    expect(side).toBeLessThanOrEqual(maxSide)
  }
  return size
}
