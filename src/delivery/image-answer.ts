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
  /** Where the answer came from; a closed set, it labels metrics. */
  readonly outcome: 'memory' | 'disk' | 'render' | 'collapsed' | 'not-modified' | 'error'
  readonly source?: string
  readonly format?: string
  readonly width?: number
  readonly height?: number
  readonly error?: string
}
