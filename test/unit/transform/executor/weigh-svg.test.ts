import { describe, expect, test } from 'vitest'
import { executePlan } from '../../../../src/transform/executor/execute-plan.ts'
import { probeImage } from '../../../../src/transform/executor/probe-image.ts'
import { weighSvg } from '../../../../src/transform/executor/weigh-svg.ts'
import { acceptsNone, planRender } from '../../../helpers/plan-request.ts'

const limits = { maxPixels: 120_000_000, timeoutSeconds: 20 }
const open = '<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="1000">'
const svgOf = (inner: string) => Buffer.from(`${open}${inner}</svg>`)
const layersOf = async (inner: string) => (await probeImage(svgOf(inner), limits)).layers ?? 0
const rect = '<rect width="1000" height="1000" fill="#a52"/>'
const nest = (count: number) => svgOf(`${`<g opacity=".9">${rect}`.repeat(count)}${'</g>'.repeat(count)}`)

describe('layers of an SVG', () => {
  test.each([
    ['plain shapes', rect.repeat(9)],
    [
      'opacity that changes nothing',
      `<g opacity="1">${rect}</g><g style="opacity: 1.0; mix-blend-mode: normal">${rect}</g>`,
    ],
    ['what is defined and not used', `<defs><mask id="m"><g opacity=".5">${rect}</g></mask></defs>${rect}`],
    ['a use of itself', `<g id="a"><use href="#a"/></g>`],
  ])('%s takes none', async (_name, inner) => {
    expect(await layersOf(inner)).toBe(0)
  })

  test.each([
    ['a group', `<g opacity=".5">${rect}</g>`],
    ['a group by its style', `<g style="fill:red; opacity : 50%">${rect}</g>`],
    [
      'a group by a style sheet',
      `<style>@media screen{p, svg > g.a:hover{opacity:.5}}</style><g class="b a">${rect}</g>`,
    ],
    ['a group of another blending', `<g style="mix-blend-mode:multiply">${rect}</g>`],
    ['a clip', `<clipPath id="c">${rect}</clipPath><g clip-path="url(#c)">${rect}</g>`],
    ['a mask', `<mask id="m">${rect}</mask><rect width="9" height="9" mask="url('#m')"/>`],
    ['a pattern', `<pattern id="p" width="9" height="9">${rect}</pattern><rect width="9" height="9" fill="url(#p)"/>`],
    ['a filter', `<filter id="f"><feGaussianBlur stdDeviation="9"/></filter><g style="filter:url(#f)">${rect}</g>`],
  ])('%s takes one or more', async (_name, inner) => {
    expect(await layersOf(inner)).toBeGreaterThanOrEqual(1)
  })

  test('uses of uses are multiplied', async () => {
    const levels = Array.from(
      { length: 10 },
      (_, level) => `<g id="l${level + 1}">${`<use href="#l${level}"/>`.repeat(4)}</g>`,
    )
    expect(await layersOf(`<defs><g id="l0" opacity=".5">${rect}</g>${levels.join('')}</defs><use href="#l10"/>`)).toBe(
      1_000_000,
    )
  })

  test('a chain of uses without end is refused, not followed', async () => {
    const chain = Array.from({ length: 20_000 }, (_, at) => `<g id="l${at}"><use href="#l${at + 1}"/></g>`)
    await expect(layersOf(chain.join(''))).rejects.toMatchObject({ code: 'undecodable' })
  })

  test('large style sheets and many elements take no longer than their length explains', () => {
    const rules = Array.from({ length: 20_000 }, (_, at) => `*{fill:url(#p${at})}`).join('')
    const started = performance.now()
    weighSvg(`${open}<style>${rules}${'a '.repeat(100_000)}</style>${'<path/>'.repeat(20_000)}</svg>`)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})

describe('an SVG of many layers is drawn smaller, and says so', () => {
  test.each([6, 20])('%i of them', async (count) => {
    const metadata = await probeImage(nest(count), limits)
    const plan = planRender('w=8192&fm=jpg', metadata, acceptsNone, { mozjpeg: false, maxPixels: limits.maxPixels })
    // What all layers hold at once.
    expect(plan.width * plan.height * 4 * count).toBeLessThan(500_000_000)
    expect(plan.reasons.join(' ')).toMatch(/Smaller than 8192x8192: more would take too long/)
  })

  test('at the size of a page it is drawn as asked', async () => {
    const metadata = await probeImage(nest(6), limits)
    const plan = planRender('w=400&fm=jpg', metadata, acceptsNone, { mozjpeg: false })
    expect(await executePlan(nest(6), metadata, plan, limits)).toMatchObject({ width: 400, height: 400 })
  })
})
