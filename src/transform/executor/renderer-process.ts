import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { RenderConfig } from '../../config/config.ts'
import { executorLimits } from './executor-limits.ts'
import { rendererEnvironment } from './renderer-environment.ts'
import {
  originalsFd,
  type RendererMessage,
  type RendererReply,
  type RendererRequest,
  type RendererSettings,
} from './renderer-messages.ts'

/** How a renderer ended. */
export type RendererExit = { readonly signal: string; readonly stderrTail: string }

/** Thrown to whoever waits for a renderer that ended instead of answering. */
export class RendererDied extends Error {
  readonly exit: RendererExit
  constructor(exit: RendererExit) {
    super(`renderer died (${exit.signal})`)
    this.name = 'RendererDied'
    this.exit = exit
  }
}

/** One child process, seen from the front. */
export interface RendererProcess {
  readonly pid: number | undefined
  readonly startedAtMs: number
  /** Resolves when it can take work; rejects with RendererDied when it never will. */
  readonly ready: Promise<void>
  /** Resolves when it is gone. Never rejects. */
  readonly exited: Promise<RendererExit>
  /** Sends a request and waits for its answer; one at a time. Rejects with RendererDied. `drop` is not answered. */
  ask(request: RendererRequest): Promise<RendererReply>
  tell(request: RendererRequest): void
  /** Its resident size as last reported, 0 before. */
  rssBytes(): number
  /** Whether it was told to read a file and has not said that it did. */
  isReading(): boolean
  /** Whoever waits for it learns of it at once: one that a disk keeps in the kernel may end much later. */
  kill(): void
  isKilled(): boolean
}

/** Starts a renderer at the configured niceness, with an environment of its own. */
export function startRenderer(config: RenderConfig): RendererProcess {
  const child = forkRenderer(config)
  lowerPriority(child, config.niceness)
  const stderrTail = keepTail(child)
  const exited = new Promise<RendererExit>((resolve) => {
    const end = (signal: string) => resolve({ signal, stderrTail: stderrTail() })
    child.once('exit', (code, signal) => end(signal ?? `exit ${code}`))
    child.once('error', (error) => end(error.message))
  })
  // A write into a dead child's pipes ends up here; `exit` follows.
  originalsPipe(child)?.on('error', () => child.kill('SIGKILL'))
  child.on('error', () => child.kill('SIGKILL'))
  // Without its channel a renderer is of no use, and ends by itself; this makes sure.
  child.once('disconnect', () => child.kill('SIGKILL'))
  const replies = createReplySlot(child, exited)
  return {
    pid: child.pid,
    startedAtMs: performance.now(),
    ready: withStartTimeout(child, replies.next(false)).then(() => lowerPriority(child, config.niceness)),
    exited,
    ask(request) {
      const reply = replies.next(request.kind === 'probeFile')
      send(child, request)
      return reply
    },
    tell: (request) => send(child, request),
    rssBytes: replies.rssBytes,
    isReading: replies.isReading,
    kill() {
      child.kill('SIGKILL')
      replies.fail({ signal: 'SIGKILL', stderrTail: stderrTail() })
    },
    isKilled: () => child.killed,
  }
}

function forkRenderer(config: RenderConfig): ChildProcess {
  const self = import.meta.url
  const extension = self.slice(self.lastIndexOf('.'))
  const settings: RendererSettings = {
    maxPixels: config.maxPixels,
    timeoutSeconds: Math.ceil(config.deadlineMs / 1000),
    sharedBytes: config.sharedDecodeBytes,
    keptPictureMs: executorLimits.keptPictureMs,
  }
  return fork(fileURLToPath(new URL(`./renderer${extension}`, self)), [JSON.stringify(settings)], {
    env: rendererEnvironment(config.jemalloc),
    execArgv: extension === '.ts' ? ['--experimental-strip-types', '--disable-warning=ExperimentalWarning'] : [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'],
  })
}

/**
 * At once after the fork, so that threads that start later inherit it, and again when it is ready: on Linux a niceness
 * belongs to a thread, and some had started before.
 */
function lowerPriority(child: ChildProcess, niceness: number): void {
  if (child.pid === undefined) return
  for (const thread of [child.pid, ...threadsOf(child.pid)]) {
    try {
      setPriority(thread, niceness)
    } catch {
      // It has ended already (its exit is handled), or the platform forbids it: a nice renderer is not a condition.
    }
  }
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch {
    return []
  }
}

function keepTail(child: ChildProcess): () => string {
  let tail = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-executorLimits.stderrTailBytes)
  })
  return () => tail.trim()
}

/** Hands each reply to whoever asked last; one listener for the whole life of the renderer. */
function createReplySlot(child: ChildProcess, exited: Promise<RendererExit>) {
  let waiting: PromiseWithResolvers<RendererReply> | undefined
  let exit: RendererExit | undefined
  let rssBytes = 0
  let isReading = false
  child.on('message', (message: unknown) => {
    const reply = message as RendererReply
    isReading = false
    if (reply.kind === 'read') return
    if ('rssBytes' in reply) rssBytes = reply.rssBytes
    waiting?.resolve(reply)
    waiting = undefined
  })
  const fail = (how: RendererExit): void => {
    exit ??= how
    waiting?.reject(new RendererDied(exit))
    waiting = undefined
  }
  void exited.then(fail)
  return {
    fail,
    rssBytes: () => rssBytes,
    isReading: () => isReading,
    next(readsFile: boolean): Promise<RendererReply> {
      if (exit) return Promise.reject(new RendererDied(exit))
      isReading = readsFile
      waiting = Promise.withResolvers<RendererReply>()
      return waiting.promise
    },
  }
}

async function withStartTimeout(child: ChildProcess, firstReply: Promise<RendererReply>): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), executorLimits.startTimeoutMs)
  try {
    await firstReply
  } finally {
    clearTimeout(timer)
  }
}

function send(child: ChildProcess, request: RendererRequest): void {
  // The answer to a failed write is the renderer's end, which whoever asked is waiting for as well.
  const onWritten = (error: Error | null | undefined) => {
    if (error) child.kill('SIGKILL')
  }
  if (request.kind !== 'probe') return void child.send(request, onWritten)
  const { kind, sourceKey, original } = request
  const message: RendererMessage = { kind, sourceKey, byteLength: original.length }
  child.send(message, onWritten)
  originalsPipe(child)?.write(original, onWritten)
}

function originalsPipe(child: ChildProcess): Writable | undefined {
  const pipe = child.stdio[originalsFd]
  return pipe instanceof Writable ? pipe : undefined
}
