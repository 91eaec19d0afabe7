import type { LogLevel, RenderConfig } from '../../config/config.ts'
import { executorLimits } from './executor-limits.ts'
import type { RendererExit, RendererProcess } from './renderer-process.ts'
import { startRenderer } from './renderer-process.ts'

export type RendererLog = (
  level: Exclude<LogLevel, 'silent'>,
  event: string,
  fields: Readonly<Record<string, string | number | boolean>>,
) => void

/** What happened to a renderer, for metrics. */
export type RendererEvent =
  'started' | 'start_failed' | 'died' | 'recycled' | 'deadline_killed' | 'abandoned_killed' | 'source_refused'

export type SlotsOptions = {
  readonly config: RenderConfig
  readonly log: RendererLog
  readonly onEvent: (event: RendererEvent) => void
  /** A renderer has become free. */
  readonly onIdle: () => void
}

/** Keeps the configured number of renderers alive and knows which of them are free. */
export interface RendererSlots {
  /** A free renderer, now taken; undefined when there is none. */
  take(): RendererProcess | undefined
  /** Gives a renderer back; one that has grown above the memory ceiling is replaced. */
  release(renderer: RendererProcess): void
  counts(): { readonly ready: number; readonly pids: readonly number[] }
  close(): Promise<void>
}

const bytesPerMB = 1024 * 1024

export function createRendererSlots(options: SlotsOptions): RendererSlots {
  const { config, log, onEvent } = options
  const alive = new Set<RendererProcess>()
  const idle: RendererProcess[] = []
  const ready = new Set<RendererProcess>()
  const recycled = new Set<RendererProcess>()
  const restarts = new Set<NodeJS.Timeout>()
  let startFailures = 0
  let isClosed = false

  const start = (): void => {
    const renderer = startRenderer(config)
    alive.add(renderer)
    renderer.ready.then(
      () => becomeReady(renderer),
      () => undefined,
    )
    void renderer.exited.then((exit) => replace(renderer, exit))
  }
  const becomeReady = (renderer: RendererProcess): void => {
    startFailures = 0
    ready.add(renderer)
    idle.push(renderer)
    onEvent('started')
    options.onIdle()
  }
  const replace = (renderer: RendererProcess, exit: RendererExit): void => {
    const hadStarted = ready.delete(renderer)
    alive.delete(renderer)
    remove(idle, renderer)
    if (isClosed) return
    if (!hadStarted) startFailures++
    if (!recycled.delete(renderer)) reportDeath(renderer, exit, hadStarted)
    const timer = setTimeout(() => {
      restarts.delete(timer)
      start()
    }, restartDelayMs(startFailures))
    restarts.add(timer)
  }

  const reportDeath = (renderer: RendererProcess, exit: RendererExit, hadStarted: boolean): void => {
    onEvent(hadStarted ? 'died' : 'start_failed')
    log(
      hadStarted ? 'warn' : 'error',
      hadStarted ? 'renderer_died' : 'renderer_start_failed',
      describeExit(renderer, exit),
    )
  }

  for (let index = 0; index < config.renderers; index++) start()

  return {
    take: () => idle.shift(),
    release(renderer) {
      const rssBytes = renderer.rssBytes()
      if (isClosed || !ready.has(renderer)) return
      if (rssBytes <= config.memoryCeilingMB * bytesPerMB) {
        idle.push(renderer)
        return options.onIdle()
      }
      onEvent('recycled')
      log('info', 'renderer_recycled', { pid: renderer.pid ?? 0, rssMB: Math.round(rssBytes / bytesPerMB) })
      recycled.add(renderer)
      renderer.kill()
    },
    counts: () => ({ ready: ready.size, pids: [...alive].flatMap((renderer) => renderer.pid ?? []) }),
    async close() {
      isClosed = true
      for (const timer of restarts) clearTimeout(timer)
      idle.length = 0
      for (const renderer of alive) renderer.kill()
      await Promise.all([...alive].map((renderer) => renderer.exited))
    },
  }
}

/** At once after a death at work; slower and slower while renderers cannot even start. */
function restartDelayMs(startFailures: number): number {
  if (startFailures === 0) return 0
  return Math.min(executorLimits.maxRestartDelayMs, executorLimits.restartDelayMs * 2 ** Math.min(startFailures, 10))
}

function describeExit(renderer: RendererProcess, exit: RendererExit): Record<string, string | number> {
  return { pid: renderer.pid ?? 0, signal: exit.signal, ...(exit.stderrTail ? { stderr: exit.stderrTail } : {}) }
}

function remove<Item>(items: Item[], item: Item): void {
  const index = items.indexOf(item)
  if (index !== -1) items.splice(index, 1)
}
