import { describe, expect, test } from 'vitest'
import { metadataOf, planRender } from '../../../helpers/plan-request.ts'

const landscape = metadataOf(600, 400)

describe('fit=crop at 200x200 of 600x400', () => {
  test.each([
    ['', { op: 'extract', left: 50, top: 0, width: 200, height: 200 }],
    ['crop=left', { op: 'extract', left: 0, top: 0, width: 200, height: 200 }],
    ['crop=top,right', { op: 'extract', left: 100, top: 0, width: 200, height: 200 }],
    ['crop=bottom', { op: 'extract', left: 50, top: 0, width: 200, height: 200 }],
    ['crop=faces', { op: 'extract', left: 50, top: 0, width: 200, height: 200 }],
    ['crop=faces,left', { op: 'extract', left: 0, top: 0, width: 200, height: 200 }],
    ['crop=focalpoint', { op: 'extract', left: 50, top: 0, width: 200, height: 200 }],
    ['crop=focalpoint&fp-x=0.6', { op: 'extract', left: 80, top: 0, width: 200, height: 200 }],
    ['crop=focalpoint&fp-x=1', { op: 'extract', left: 100, top: 0, width: 200, height: 200 }],
    ['fp-x=1', { op: 'extract', left: 50, top: 0, width: 200, height: 200 }],
    ['crop=entropy', { op: 'crop', width: 200, height: 200, strategy: 'entropy' }],
    ['crop=edges', { op: 'crop', width: 200, height: 200, strategy: 'attention' }],
    ['crop=faces,edges', { op: 'crop', width: 200, height: 200, strategy: 'attention' }],
  ])('%s', (query, cut) => {
    const { operations } = planRender(`w=200&h=200&fit=crop&${query}`, landscape)
    expect(operations).toEqual([{ op: 'resize', width: 300, height: 200 }, cut])
  })

  test('crop and fp-z alone change nothing but with fit=crop', () => {
    const plain = planRender('w=200&h=200', landscape)
    expect(planRender('w=200&h=200&crop=left', landscape)).toEqual(plain)
    expect(planRender('w=200&h=200&crop=focalpoint&fp-z=3', landscape)).toEqual(plain)
  })
})

describe('fp-z', () => {
  test('cuts a window of the aspect asked for, z times smaller, around the point', () => {
    const { operations, width, height } = planRender(
      'w=200&h=200&fit=crop&crop=focalpoint&fp-x=0.5&fp-y=0.25&fp-z=2',
      landscape,
    )
    expect(operations).toEqual([{ op: 'extract', left: 200, top: 0, width: 200, height: 200 }])
    expect([width, height]).toEqual([200, 200])
  })

  test('stays inside the picture', () => {
    const { operations } = planRender('w=100&h=50&fit=crop&crop=focalpoint&fp-x=1&fp-y=1&fp-z=4', landscape)
    expect(operations).toEqual([
      { op: 'extract', left: 450, top: 325, width: 150, height: 75 },
      { op: 'resize', width: 100, height: 50 },
    ])
  })

  test('works without any size', () => {
    const plan = planRender('fit=crop&crop=focalpoint&fp-z=2', landscape)
    expect([plan.width, plan.height]).toEqual([600, 400])
    expect(plan.operations[0]).toEqual({ op: 'extract', left: 150, top: 100, width: 300, height: 200 })
  })
})

describe('rect', () => {
  test.each([
    ['10,20,100,50', { left: 10, top: 20, width: 100, height: 50 }],
    ['0.5,0.25,0.25,0.5', { left: 300, top: 100, width: 150, height: 200 }],
    ['center,middle,100,100', { left: 250, top: 150, width: 100, height: 100 }],
    ['right,bottom,100,100', { left: 500, top: 300, width: 100, height: 100 }],
    ['left,top,full,100', { left: 0, top: 0, width: 600, height: 100 }],
    ['500,350,300,300', { left: 500, top: 350, width: 100, height: 50 }],
    ['right,top,0.5,full', { left: 300, top: 0, width: 300, height: 400 }],
    ['center,top,1200,100', { left: 0, top: 0, width: 600, height: 100 }],
  ])('%s', (rect, window) => {
    const plan = planRender(`rect=${rect}`, landscape)
    expect(plan.operations).toEqual([{ op: 'extract', ...window }])
    expect([plan.width, plan.height]).toEqual([window.width, window.height])
  })

  test.each(['600,0,10,10', '0,5000,10,10'])('%s lies outside and is skipped', (rect) => {
    expect(planRender(`rect=${rect}`, landscape).operations).toEqual([])
  })

  test('comes first: sizes and shares are those of the region', () => {
    const { operations } = planRender('rect=0,0,300,300&w=0.5&h=100&fit=crop', landscape)
    expect(operations).toEqual([
      { op: 'extract', left: 0, top: 0, width: 300, height: 300 },
      { op: 'resize', width: 150, height: 150 },
      { op: 'extract', left: 0, top: 25, width: 150, height: 100 },
    ])
  })
})

test('an animation is cut alike in every frame', () => {
  const { operations } = planRender(
    'w=200&h=200&fit=crop&crop=entropy',
    metadataOf(600, 400, { format: 'gif', frames: 5 }),
  )
  expect(operations.at(-1)).toMatchObject({ op: 'extract', left: 50 })
})

test('covering from a very long picture never makes a huge one on the way', () => {
  const { operations } = planRender('w=100&h=100&fit=crop&crop=right', metadataOf(20_000, 10))
  expect(operations).toEqual([
    { op: 'extract', left: 19_990, top: 0, width: 10, height: 10 },
    { op: 'resize', width: 100, height: 100 },
  ])
})
