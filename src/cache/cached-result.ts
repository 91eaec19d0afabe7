/** A finished answer body with all that the headers need; what every tier keeps. */
export type CachedResult = {
  readonly body: Buffer
  readonly contentType: string
  /** Strong validator, quoted (RFC 9110 8.8.3). */
  readonly etag: string
  /** When it was rendered, Unix ms. */
  readonly createdAtMs: number
  /** Small facts for headers (width, height, format, applied params ...); plain JSON, at most a few hundred bytes. */
  readonly facts: Readonly<Record<string, string | number | boolean>>
}
