import { expect, test } from 'vitest'
import { encoderEpoch } from '../../../../src/transform/executor/encoder-epoch.ts'
import { loadConfig } from '../../../../src/config/load-config.ts'
import { projectRoot } from '../../../helpers/start-halftone.ts'

function renderConfig(settings: Record<string, string>) {
  const loaded = loadConfig(settings, { cwd: projectRoot, packageDir: projectRoot })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  return loaded.config.render
}

test('stays the same for the same settings', () => {
  expect(encoderEpoch(renderConfig({}))).toBe(
    encoderEpoch(renderConfig({ HALFTONE_QUEUE_LENGTH: '7', HALFTONE_RENDERERS: '9' })),
  )
})

test.each([
  ['HALFTONE_AVIF_EFFORT', '2'],
  ['HALFTONE_WEBP_EFFORT', '5'],
  ['HALFTONE_MOZJPEG', 'true'],
  ['HALFTONE_AVIF_MAX_MEGAPIXELS', '1'],
  ['HALFTONE_MAX_OUTPUT_SIDE', '4096'],
  ['HALFTONE_MAX_MEGAPIXELS', '20'],
  ['HALFTONE_MAX_FRAMES', '3'],
])('%s decides bytes, so it makes other keys', (name, value) => {
  expect(encoderEpoch(renderConfig({ [name]: value }))).not.toBe(encoderEpoch(renderConfig({})))
})
