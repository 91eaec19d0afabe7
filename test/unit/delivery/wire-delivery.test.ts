import { expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../../src/config/load-config.ts'
import { wireDelivery } from '../../../src/delivery/wire-delivery.ts'
import { createUrlSigner } from '../../../src/signing/create-url-signer.ts'
import { createSources } from '../../../src/sources/create-sources.ts'
import type { RenderJob } from '../../../src/transform/executor/perform-render.ts'
import { makePictureFolder } from '../../helpers/picture-folder.ts'

type Parts = Parameters<typeof wireDelivery>[1]

test('a source that becomes slow is counted and told of', async () => {
  const pictures = makePictureFolder({ 'a.jpg': Buffer.from('abc') })
  onTestFinished(() => pictures.remove())
  const loaded = loadConfig({ HALFTONE_SOURCE: pictures.folder }, { cwd: pictures.folder, packageDir: pictures.folder })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  const sources = createSources(loaded.config.sources)
  onTestFinished(() => sources.close())
  const told: unknown[] = []
  const parts = {
    sources,
    signer: createUrlSigner({ keys: [], imgixTokens: [] }),
    rendererPool: {
      // As one whose read of the file takes long.
      render({ original }: RenderJob) {
        if (!Buffer.isBuffer(original)) original.onSlow()
        return Promise.reject(new Error('no picture'))
      },
    },
    resultCache: {
      getOrRender: (_: string, render: (signal: AbortSignal) => unknown, signal: AbortSignal) => render(signal),
    },
    peekResult: () => undefined,
    logger: { warn: (...line: unknown[]) => void told.push(line), error: () => undefined },
    metrics: { event: (...event: unknown[]) => void told.push(event) },
  } as unknown as Parts
  const { deliverImage } = wireDelivery(loaded.config, parts)
  const absent = {
    host: undefined,
    accept: undefined,
    ifNoneMatch: undefined,
    ifModifiedSince: undefined,
    range: undefined,
    ifRange: undefined,
  }
  for (const id of ['first', 'second'])
    await deliverImage({ id, method: 'GET', target: '/a.jpg?w=10', ...absent }, new AbortController().signal)
  const source = loaded.config.sources[0]?.name
  expect(told.filter((one) => JSON.stringify(one).includes('slow'))).toEqual([
    ['sources', 'slow'],
    ['source_slow', { source }],
  ])
})
