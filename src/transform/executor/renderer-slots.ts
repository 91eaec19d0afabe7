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
export const rendererEvents = [
  'started',
  'start_failed',
  'died',
  'recycled',
  'deadline_killed',
  'abandoned_killed',
  /** Killed at work because it had taken more memory than allowed. */
  'memory_limit',
  'source_refused',
  /** A job was refused because it could not have been done in time, or because the queue was full. */
  'refused_for_cost',
  'refused_for_room',
  /** The original did not have to be sent again. */
  'original_recalled',
  /** A decode or drawing was made to be kept, and taken from what was kept. */
  'shared_built',
  'shared_decode_hit',
  'shared_drawing_hit',
  /** No temporary file could be made: the picture was decoded whole, which takes longer and gives slightly other bytes. */
  'no_temporary_file',
] as const
export type RendererEvent = (typeof rendererEvents)[number]

export type SlotsOptions = {
  readonly config: RenderConfig
  readonly log: RendererLog
  readonly onEvent: (event: RendererEvent) => void
  /** A renderer has become free. */
  readonly onIdle: () => void
}

/** Keeps the configured number of renderers alive and knows which of them are free. */
export interface RendererSlots {
  /** The free ones, the longest free first. */
  idle(): readonly RendererProcess[]
  /** Takes a free renderer. */
  take(renderer: RendererProcess): void
  /** Gives a renderer back; one that has grown above the memory ceiling is replaced. */
  release(renderer: RendererProcess): void
  counts(): { readonly ready: number; readonly pids: readonly number[] }
  close(): Promise<void>
}

const bytesPerMB = 1024 * 1024

type Slots = SlotsOptions & {
  readonly alive: Set<RendererProcess>
  readonly ready: Set<RendererProcess>
  readonly idle: RendererProcess[]
  /** Killed on purpose, so that their end is no news. */
  readonly recycled: Set<RendererProcess>
  readonly restarts: Set<NodeJS.Timeout>
  startFailures: number
  isClosed: boolean
}

export function createRendererSlots(options: SlotsOptions): RendererSlots {
  const state: Slots = {
    ...options,
    alive: new Set(),
    ready: new Set(),
    idle: [],
    recycled: new Set(),
    restarts: new Set(),
    startFailures: 0,
    isClosed: false,
  }
  for (let index = 0; index < options.config.renderers; index++) start(state)
  return {
    idle: () => state.idle,
    take: (renderer) => remove(state.idle, renderer),
    release: (renderer) => release(state, renderer),
    counts: () => ({ ready: state.ready.size, pids: [...state.alive].flatMap((renderer) => renderer.pid ?? []) }),
    async close() {
      state.isClosed = true
      for (const timer of state.restarts) clearTimeout(timer)
      state.idle.length = 0
      for (const renderer of state.alive) renderer.kill()
      await Promise.all([...state.alive].map((renderer) => renderer.exited))
    },
  }
}

function start(state: Slots): void {
  const renderer = startRenderer(state.config)
  state.alive.add(renderer)
  // That it will never be ready is told by its exit.
  renderer.ready.then(
    () => becomeReady(state, renderer),
    () => undefined,
  )
  void renderer.exited.then((exit) => replace(state, renderer, exit))
}

function becomeReady(state: Slots, renderer: RendererProcess): void {
  if (state.isClosed) return
  state.startFailures = 0
  state.ready.add(renderer)
  state.idle.push(renderer)
  state.onEvent('started')
  state.onIdle()
}

function release(state: Slots, renderer: RendererProcess): void {
  // A job may just have ended when its renderer was killed for being late: the next one must not get it.
  if (state.isClosed || renderer.isKilled() || !state.ready.has(renderer)) return
  const rssBytes = renderer.rssBytes()
  if (rssBytes <= state.config.memoryCeilingMB * bytesPerMB) {
    state.idle.push(renderer)
    return state.onIdle()
  }
  state.recycled.add(renderer)
  state.onEvent('recycled')
  state.log('info', 'renderer_recycled', { pid: renderer.pid ?? 0, rssMB: Math.round(rssBytes / bytesPerMB) })
  renderer.kill()
}

function replace(state: Slots, renderer: RendererProcess, exit: RendererExit): void {
  const hadStarted = state.ready.delete(renderer)
  state.alive.delete(renderer)
  remove(state.idle, renderer)
  if (state.isClosed) return
  if (!hadStarted) state.startFailures++
  if (!state.recycled.delete(renderer)) reportDeath(state, renderer, exit, hadStarted)
  const timer = setTimeout(() => {
    state.restarts.delete(timer)
    start(state)
  }, restartDelayMs(state.startFailures))
  state.restarts.add(timer)
}

function reportDeath(state: Slots, renderer: RendererProcess, exit: RendererExit, hadStarted: boolean): void {
  const facts = describeExit(renderer, exit)
  state.onEvent(hadStarted ? 'died' : 'start_failed')
  if (hadStarted) state.log('warn', 'renderer_died', facts)
  else state.log('error', 'renderer_start_failed', facts)
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
