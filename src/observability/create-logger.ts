import { pino, stdTimeFunctions, type DestinationStream } from 'pino'
import { createLineBlocks, type LineBlocks } from './line-blocks.ts'

/** One structured line per event; `event` names are stable (docs/operations.md lists them). Secrets never come here. */
export interface Logger {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  /** Writes out what is still held back. */
  flush(): void
}

/** The short way for a line that comes tens of thousands of times a second and is ready but for a few members. */
export interface LineWriter {
  readonly writesInfo: boolean
  /** Members of a JSON object, without braces; level and time are put before them. */
  writeInfo(members: string): void
}

export type LogFields = Readonly<Record<string, unknown>>

// One system call a line would be the dearest part of a hit. Lines leave in blocks, at the latest after this time;
// warnings and errors at once. When nobody reads stdout, lines beyond the limit are dropped instead of filling memory.
const blockBytes = 65_536
const longestHoldMs = 250
const maxHeldBytes = 16_777_216

/** JSON lines to stdout, or synchronously to the given stream. */
export function createLogger(options: { level: string; destination?: DestinationStream }): Logger & LineWriter {
  const settings = {
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const blocks = options.destination ? unheld(options.destination) : blocksToStdout()
  const sink = pino(settings, blocks)
  const infoHead = createInfoHead()
  return {
    error: (event, fields) => {
      sink.error({ event, ...fields })
      blocks.flush()
    },
    warn: (event, fields) => {
      sink.warn({ event, ...fields })
      blocks.flush()
    },
    info: (event, fields) => sink.info({ event, ...fields }),
    debug: (event, fields) => sink.debug({ event, ...fields }),
    flush: () => blocks.flushSync(),
    writesInfo: sink.isLevelEnabled('info'),
    writeInfo: (members) => blocks.write(`${infoHead()}${members}}\n`),
  }
}

type Lines = LineBlocks & { flushSync(): void }

function blocksToStdout(): Lines {
  // pino flushes by itself at the end, but knows nothing of what is held here, so this has to come before it.
  process.once('beforeExit', () => flushSync()).once('exit', () => flushSync())
  // Whole blocks leave as they come. Smaller ones wait to be flushed: a write begun in the background could not be awaited
  // at the end of the process.
  const stdout = pino.destination({
    ...{ dest: 1, sync: false, maxLength: maxHeldBytes },
    ...{ minLength: blockBytes, maxWrite: 2 * blockBytes, contentMode: 'buffer' },
  })
  const blocks = createLineBlocks(blockBytes, (block) => void stdout.write(asDeclared(block)))
  const flush = () => {
    blocks.flush()
    stdout.flush()
  }
  const flushSync = () => {
    blocks.flush()
    stdout.flushSync()
  }
  setInterval(flush, longestHoldMs).unref()
  return { write: (line) => blocks.write(line), flush, flushSync }
}

/** In this mode it takes buffers only, of which its types do not know. */
const asDeclared = (block: Buffer) => block as unknown as string

/** Every line at once, as tests want it. */
function unheld(destination: DestinationStream): Lines {
  return { write: (line) => void destination.write(line), flush: () => {}, flushSync: () => {} }
}

/** Level and time as pino writes them; made anew at most once a millisecond. */
function createInfoHead(): () => string {
  let lastMs = 0
  let head = ''
  return () => {
    const nowMs = Date.now()
    if (nowMs !== lastMs) {
      lastMs = nowMs
      head = `{"level":"info","time":"${new Date(nowMs).toISOString()}",`
    }
    return head
  }
}

/** What a log line says of an error: code and message, the cause's too, the stack only for bugs. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) }
  const cause = error.cause instanceof Error ? { cause: error.cause.message } : {}
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  // Of an AppError: the status of an origin, say.
  const details = 'details' in error && typeof error.details === 'object' ? error.details : {}
  return {
    ...details,
    error: error.message,
    ...code,
    ...cause,
    stack: error.cause instanceof Error ? error.cause.stack : error.stack,
  }
}
