import type { RenderConfig } from '../../config/config.ts'
import { AppError } from '../../errors.ts'
import { afterDeath } from './after-death.ts'
import { executorLimits } from './executor-limits.ts'
import { guardRun } from './guard-run.ts'
import type { Job, Ticket } from './job-ticket.ts'
import { submitJob } from './job-ticket.ts'
import type { Placement } from './place-job.ts'
import { costHere, costMovedTo, costOn, warmCostOn } from './place-job.ts'
import type { RefusedSources } from './refused-sources.ts'
import type { RenderQueue } from './render-queue.ts'
import { createRenderQueue, workBefore } from './render-queue.ts'
import type { RendererProcess } from './renderer-process.ts'
import { RendererDied } from './renderer-process.ts'
import type { RendererEvent, RendererLog, RendererSlots } from './renderer-slots.ts'
import type { WarmRenderers } from './warm-renderers.ts'

export type DispatcherOptions = {
  readonly config: RenderConfig
  readonly slots: Pick<RendererSlots, 'idle' | 'take' | 'release'>
  readonly refusedSources: RefusedSources
  readonly warmRenderers: Pick<WarmRenderers, 'isWarm'>
  readonly log: RendererLog
  readonly onEvent: (event: RendererEvent) => void
}

/** Admission by predicted cost: a bounded queue before the renderers, deadlines, one more try after a crash. */
export interface JobDispatcher {
  submit<Value>(job: Job<Value>, signal: AbortSignal): Promise<Value>
  /** Gives free renderers to waiting jobs. */
  dispatch(): void
  /** The header of this original has become known: jobs that wait for it are predicted anew. */
  reforecast(sourceKey: string): void
  counts(): { readonly running: number; readonly queued: number }
  /** Refuses new jobs; resolves when all admitted ones have ended. When the signal fires, those that are left are refused too. */
  drain(signal: AbortSignal): Promise<void>
}

type Run = {
  readonly renderer: RendererProcess
  readonly startedAtMs: number
  /** Undefined when its original was not known then. */
  readonly costMs: number | undefined
}

type Dispatch = DispatcherOptions & {
  readonly queue: RenderQueue<Ticket>
  readonly running: Map<Ticket, Run>
  /** Set while draining. */
  closing: { readonly whenEmpty: () => void } | undefined
  /** Renderers that are free while jobs wait, and since when. */
  readonly sparedSinceMs: Map<RendererProcess, number>
  /** Set while a renderer is free and yet jobs wait, for another one that suits them better. */
  secondThought: NodeJS.Timeout | undefined
}

export function createJobDispatcher(options: DispatcherOptions): JobDispatcher {
  const queue = createRenderQueue<Ticket>({ agingRate: executorLimits.agingRate })
  const state: Dispatch = {
    ...options,
    queue,
    running: new Map(),
    sparedSinceMs: new Map(),
    closing: undefined,
    secondThought: undefined,
  }
  const admission = {
    admit: (ticket: Ticket) => admit(state, ticket),
    leaveQueue: (ticket: Ticket) => leaveQueue(state, ticket),
    queueLimitMs: options.config.deadlineMs,
  }
  return {
    submit: (job, signal) => submitJob(job, signal, admission),
    dispatch: () => dispatch(state),
    reforecast(sourceKey) {
      const waiting = queue.entries().filter((ticket) => ticket.sourceKey === sourceKey)
      for (const ticket of [...waiting, ...state.running.keys()]) if (!ticket.forecast().isKnown) ticket.reforecast()
      if (waiting.length > 0) dispatch(state)
    },
    counts: () => ({ running: state.running.size, queued: queue.entries().length }),
    drain: (signal) => drain(state, signal),
  }
}

async function drain(state: Dispatch, signal: AbortSignal): Promise<void> {
  const { promise: empty, resolve: whenEmpty } = Promise.withResolvers<void>()
  state.closing = { whenEmpty }
  signal.addEventListener('abort', () => whenEmpty(), { once: true })
  if (signal.aborted) whenEmpty()
  notifyEmpty(state)
  await empty
  const left = [...state.queue.entries(), ...state.running.keys()]
  for (const ticket of left) {
    state.queue.remove(ticket)
    ticket.reject(new AppError('shutting_down'))
  }
}

function admit(state: Dispatch, ticket: Ticket): void {
  const { queue, config } = state
  if (state.closing) throw new AppError('shutting_down')
  if (state.refusedSources.isRefused(ticket.sourceKey, Date.now())) throw new AppError('render_refused')
  queue.push(ticket)
  dispatch(state)
  if (state.running.has(ticket)) return
  refuseHopeless(state, ticket)
  const bounds = { maxEntries: config.queueLength, maxBytes: config.queueBytes }
  for (let excess = queue.excess(bounds); excess; excess = queue.excess(bounds)) {
    queue.remove(excess)
    state.onEvent('refused_for_room')
    excess.reject(overloaded(state, roomInMs(state)))
  }
}

/** What cannot be done before a deadline has passed is refused at once; with nobody before it, a job is always tried. */
function refuseHopeless(state: Dispatch, ticket: Ticket): void {
  const { queue, config } = state
  const before = workBefore(queue.entries(), ticket, executorLimits.agingRate)
  const waitMs = before / config.renderers + nextFreeMs(state)
  if (waitMs === 0 || waitMs + ticket.costMs() <= config.deadlineMs) return
  queue.remove(ticket)
  state.onEvent('refused_for_cost')
  throw overloaded(state, waitMs + ticket.costMs() - config.deadlineMs)
}

/** `afterMs`: until the same job would be let in. Not until the queue is empty: it would be let in long before that. */
function overloaded({ config }: Dispatch, afterMs: number): AppError {
  const { minRetryAfterSeconds, maxRetryAfterSeconds } = executorLimits
  const retryAfterSeconds = Math.min(maxRetryAfterSeconds, Math.max(minRetryAfterSeconds, Math.ceil(afterMs / 1000)))
  return new AppError('overloaded', { details: { queueLength: config.queueLength, retryAfterSeconds } })
}

/** Until a full queue has room for several: a single place is gone before whoever is told of it comes back. */
function roomInMs(state: Dispatch): number {
  const waiting = state.queue.entries().reduce((sum, ticket) => sum + ticket.costMs(), 0)
  return (waiting / state.config.renderers) * executorLimits.roomShare + nextFreeMs(state)
}

/** Until the first renderer is predicted to be free. */
function nextFreeMs(state: Dispatch): number {
  if (state.running.size < state.config.renderers) return 0
  return Math.min(...[...state.running].map(([ticket, run]) => remainingMs(state, ticket, run)))
}

/** Nothing runs longer than its deadline, or much longer than somebody waits for it; what is late is believed to stay late. */
function remainingMs({ config }: Dispatch, ticket: Ticket, run: Run): number {
  const elapsedMs = performance.now() - run.startedAtMs
  const limitMs = ticket.isSettled() ? executorLimits.abandonedGraceMs : config.deadlineMs - elapsedMs
  return Math.max(0, Math.min(Math.abs((run.costMs ?? ticket.costMs()) - elapsedMs), limitMs))
}

function leaveQueue(state: Dispatch, ticket: Ticket): void {
  state.queue.remove(ticket)
  notifyEmpty(state)
}

/** Each free renderer picks what suits it, until none finds anything. */
function dispatch(state: Dispatch): void {
  const { queue, slots } = state
  clearTimeout(state.secondThought)
  for (let hasPicked = true; hasPicked && queue.entries().length > 0;) {
    hasPicked = false
    for (const renderer of [...slots.idle()]) hasPicked = pickFor(state, renderer) || hasPicked
  }
  const spared = queue.entries().length === 0 ? [] : slots.idle()
  for (const renderer of state.sparedSinceMs.keys())
    if (!spared.includes(renderer)) state.sparedSinceMs.delete(renderer)
  if (spared.length === 0) return
  const nowMs = performance.now()
  for (const renderer of spared) if (!state.sparedSinceMs.has(renderer)) state.sparedSinceMs.set(renderer, nowMs)
  state.secondThought = setTimeout(() => dispatch(state), executorLimits.secondThoughtMs).unref()
}

function pickFor(state: Dispatch, renderer: RendererProcess): boolean {
  const placement = placementOf(state)
  const unread = headersBeingRead(state)
  const isBackgroundFull = runsBackgroundFully(state)
  const pickBy = (costOf: typeof costOn) =>
    state.queue.pick((entry) => {
      const isBeingRead = !entry.forecast().isKnown && unread.has(entry.sourceKey)
      if (entry.isBackground && isBackgroundFull) return undefined
      const mayTake = !isBeingRead && renderer.startedAtMs >= entry.freshAfterMs
      return mayTake ? costOf(entry, renderer, amongAllowed(entry, placement)) : undefined
    })
  const ticket = pickBy(costOn) ?? pickBy(costMovedTo)
  if (!ticket) return false
  const costMs = ticket.forecast().isKnown ? costHere(ticket, renderer, placement) : undefined
  state.slots.take(renderer)
  state.running.set(ticket, { renderer, startedAtMs: performance.now(), costMs })
  void runTicket(state, ticket, renderer)
  return true
}

/** Who may not take a job is not waited for. Pure. */
export function amongAllowed(
  { freshAfterMs }: Pick<Ticket, 'freshAfterMs'>,
  placement: Placement<RendererProcess>,
): Placement<RendererProcess> {
  if (freshAfterMs === 0) return placement
  return { ...placement, renderers: placement.renderers.filter(({ startedAtMs }) => startedAtMs >= freshAfterMs) }
}

/** One renderer, where there are several, is always there for what somebody waits for. */
function runsBackgroundFully({ running, config }: Dispatch): boolean {
  const background = [...running.keys()].filter((ticket) => ticket.isBackground)
  return background.length >= Math.max(1, config.renderers - 1)
}

/** Originals whose header a renderer is about to tell: other jobs for them wait for that, and are then placed well. */
function headersBeingRead(state: Dispatch): ReadonlySet<string> {
  const unread = [...state.running.keys()].filter((ticket) => !ticket.forecast().isKnown)
  return new Set(unread.map((ticket) => ticket.sourceKey))
}

function placementOf(state: Dispatch): Placement<RendererProcess> {
  const { isWarm } = state.warmRenderers
  const runOf = new Map([...state.running].map(([ticket, run]) => [run.renderer, [ticket, run] as const]))
  const known = new Map<RendererProcess, number>()
  const backlogMs = (renderer: RendererProcess): number => {
    const run = runOf.get(renderer)
    const waiting = state.queue.entries().map((ticket) => warmCostOn(ticket, renderer, isWarm) ?? 0)
    return waiting.reduce((sum, ms) => sum + ms, run ? remainingMs(state, ...run) : 0)
  }
  return {
    renderers: [...runOf.keys(), ...state.slots.idle()],
    isWarm,
    sparedMs: (renderer) => Math.max(0, performance.now() - (state.sparedSinceMs.get(renderer) ?? Infinity)),
    backlogMs(renderer) {
      const ms = known.get(renderer) ?? backlogMs(renderer)
      known.set(renderer, ms)
      return ms
    },
  }
}

/** One attempt. Never rejects: whatever happens goes to the waiter, or the ticket back into the queue. */
async function runTicket(state: Dispatch, ticket: Ticket, renderer: RendererProcess): Promise<void> {
  const guard = guardRun(ticket, renderer, { ...state.config, onEvent: state.onEvent })
  try {
    await ticket.attempt(renderer)
  } catch (error) {
    if (error instanceof RendererDied) afterDeath(ticket, guard.kill(), state)
    else ticket.reject(error)
  } finally {
    guard.end()
    state.running.delete(ticket)
    state.slots.release(renderer)
    dispatch(state)
    notifyEmpty(state)
  }
}

function notifyEmpty({ queue, running, closing }: Dispatch): void {
  if (queue.entries().length === 0 && running.size === 0) closing?.whenEmpty()
}
