import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { drawSamples } from '../../../scripts/draw-samples.ts'
import { areDrawn } from '../../../src/cli/drawn-samples.ts'
import { temporaryFolder } from '../../helpers/cache-fixtures.ts'
import { projectRoot } from '../../helpers/start-halftone.ts'
import { copyFileSync } from 'node:fs'

test('samples are missing until they are drawn, and again when the drawings have changed', async () => {
  const clone = temporaryFolder()
  mkdirSync(join(clone, 'scripts', 'drawing'), { recursive: true })
  const version = join(clone, 'scripts', 'drawing', 'VERSION')
  copyFileSync(join(projectRoot, 'scripts', 'drawing', 'VERSION'), version)
  expect(areDrawn(clone)).toBe(false)
  await drawSamples(join(clone, 'samples'))
  expect(areDrawn(clone)).toBe(true)
  writeFileSync(version, 'another\n')
  expect(areDrawn(clone)).toBe(false)
}, 60_000)
