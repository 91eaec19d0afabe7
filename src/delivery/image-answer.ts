/** A complete HTTP answer as plain values; `http/send-image.ts` writes it. */
export type ImageAnswer = {
  readonly status: number
  /** Name, value pairs in sending order. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Undefined for 304; HEAD is cut off when sending, so that its headers equal GET's. */
  readonly body: Buffer | undefined
  /** What the log line and the metrics say of it. */
  readonly facts: AnswerFacts
}

export type AnswerFacts = {
  /** Where the answer came from: a tier's name, `render`, `collapsed`, `not-modified` or `error`; it labels metrics. */
  readonly outcome: string
  readonly source?: string
  readonly format?: string
  readonly width?: number
  readonly height?: number
  readonly error?: string
}

const maxLoggedPath = 500

/** A target as logs may show it: without the query, which may carry a signature. */
export function loggedPath(target: string): string {
  const end = target.indexOf('?')
  return target.slice(0, Math.min(end === -1 ? target.length : end, maxLoggedPath))
}
