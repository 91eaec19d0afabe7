import { pino, stdTimeFunctions } from 'pino'

/** One structured line per event; `event` names are stable (docs/operations.md lists them). Secrets never come here. */
export interface Logger {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
}

export type LogFields = Readonly<Record<string, unknown>>

/** JSON lines to stdout (or the given stream), written synchronously so that a crash loses none. */
export function createLogger(options: { level: string; destination?: { write(line: string): void } }): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const sink = options.destination ? pino(settings, options.destination) : pino(settings)
  return {
    error: (event, fields) => sink.error({ event, ...fields }),
    warn: (event, fields) => sink.warn({ event, ...fields }),
    info: (event, fields) => sink.info({ event, ...fields }),
    debug: (event, fields) => sink.debug({ event, ...fields }),
  }
}

/** What a log line says of an error: code and message, the cause's too, the stack only for bugs. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) }
  const cause = error.cause instanceof Error ? { cause: error.cause.message } : {}
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  return {
    error: error.message,
    ...code,
    ...cause,
    stack: error.cause instanceof Error ? error.cause.stack : error.stack,
  }
}
