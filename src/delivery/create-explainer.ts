import type { Config, UploadSourceConfig } from '../config/config.ts'
import { createUrlSigner } from '../signing/create-url-signer.ts'
import { createSources } from '../sources/create-sources.ts'
import type { Source } from '../sources/source.ts'
import { createRendererPool } from '../transform/executor/renderer-pool.ts'
import { explainImage, type Explanation } from './explain-image.ts'

export type Explainer = {
  explain(asked: { target: string; host: string | undefined; accept: string | undefined }): Promise<Explanation>
  close(): Promise<void>
}

/** The uploaded images, and the keys that the server which serves them signs with. */
export type ExplainedUploads = {
  readonly source: Source
  readonly config: UploadSourceConfig
  readonly signing: Config['signing']
  close(): Promise<void>
}

/** The parts that `halftone explain` needs: sources and one renderer, no caches, no listener. */
export function createExplainer(config: Config, uploads?: ExplainedUploads): Explainer {
  const sources = createSources(config.sources, undefined, uploads)
  const signer = createUrlSigner(uploads?.signing ?? config.signing)
  const rendererPool = createRendererPool({
    config: { ...config.render, renderers: 1 },
    log: () => {},
    onEvent: () => {},
  })
  const deps = {
    resolveSource: (host: string | undefined, path: string) => sources.resolve(host, path),
    verifyTarget: (target: string, nowMs: number) => signer.verifyTarget(target, nowMs),
    presets: config.presets,
    maxTargetLength: config.server.maxTargetLength,
    rendererPool,
    planLimits: config.render,
  }
  const conditions = { ifNoneMatch: undefined, ifModifiedSince: undefined, range: undefined, ifRange: undefined }
  return {
    explain: (asked) =>
      explainImage(
        { id: 'explain', method: 'GET', ...asked, ...conditions },
        deps,
        Date.now(),
        AbortSignal.timeout(config.server.requestTimeoutMs),
      ),
    async close() {
      await rendererPool.close()
      await sources.close()
      await uploads?.close()
    },
  }
}
