import { executorLimits } from './executor-limits.ts'
import type { RendererProcess } from './renderer-process.ts'

/** What the front believes each renderer to have kept. It may be wrong: then the renderer asks, or decodes again. */
export interface WarmRenderers {
  note(renderer: RendererProcess, picture: string): void
  isWarm(renderer: RendererProcess, picture: string): boolean
  /** For a renderer that turned out to have forgotten. */
  forget(renderer: RendererProcess, picture: string): void
}

export function createWarmRenderers(options: { readonly keepMs: number; readonly nowMs: () => number }): WarmRenderers {
  // A renderer that is gone takes its entry with it.
  const untilMs = new WeakMap<RendererProcess, Map<string, number>>()
  const picturesOf = (renderer: RendererProcess): Map<string, number> => {
    const pictures = untilMs.get(renderer) ?? new Map<string, number>()
    untilMs.set(renderer, pictures)
    return pictures
  }
  return {
    note(renderer, picture) {
      const pictures = picturesOf(renderer)
      pictures.delete(picture)
      pictures.set(picture, options.nowMs() + options.keepMs)
      const [oldest] = pictures.keys()
      if (pictures.size > executorLimits.warmPicturesPerRenderer && oldest !== undefined) pictures.delete(oldest)
    },
    isWarm: (renderer, picture) => (untilMs.get(renderer)?.get(picture) ?? 0) > options.nowMs(),
    forget: (renderer, picture) => void untilMs.get(renderer)?.delete(picture),
  }
}
