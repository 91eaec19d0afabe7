import { sweepUploads, type SweepPlaces } from './sweep-uploads.ts'
import type { UploadDeps } from './upload-deps.ts'

/** Sweeps once soon after the start, when a crash may have left something, and then every so often. */
export function startSweeper(deps: UploadDeps): { start(): void; close(): Promise<void> } {
  const stop = new AbortController()
  const places: SweepPlaces = { ghosts: {} }
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()

  const round = () => {
    running = sweepUploads(deps, stop.signal, places).then(
      (swept) => {
        if (Object.keys(swept).length > 0) deps.log('info', 'uploads_swept', swept)
      },
      (error: unknown) => {
        if (!stop.signal.aborted) deps.log('error', 'sweep_failed', { error: String(error) })
      },
    )
    void running.then(() => {
      if (!stop.signal.aborted) timer = setTimeout(round, deps.config.sweepSeconds * 1000).unref()
    })
  }
  return {
    start: () => {
      timer = setTimeout(round, firstRoundMs).unref()
    },
    async close() {
      stop.abort()
      clearTimeout(timer)
      await running
    },
  }
}

const firstRoundMs = 1000
