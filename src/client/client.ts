import type { ApiOptions } from './call-api.ts'
import type { ImageDocument } from './image-document.ts'
import { uploadImage, type UploadOptions } from './upload-image.ts'

export { HalftoneError } from './halftone-error.ts'
export type { ImageDocument } from './image-document.ts'
export { imageUrl, srcset, type ImageParams } from './image-url.ts'
export { picture, type PictureOptions } from './picture.ts'
export { averageColor, placeholder } from './placeholder.ts'
export type { UploadOptions, UploadProgress } from './upload-image.ts'

export type ClientOptions = {
  /** Where Halftone answers, such as `https://img.example.com`; empty for the page's own origin. */
  readonly baseUrl: string
  /** API key or JWT, or what gets one (asked before every request). Without it only where anybody may upload. */
  readonly token?: string | (() => string | Promise<string>)
  /** Used in place of the global one. In browsers bytes go by XMLHttpRequest, which alone tells how far they are. */
  readonly fetch?: typeof fetch
  /** How often a request is repeated when the line or the server fails; 4 by default. */
  readonly retries?: number
  /** Before the first repetition, doubled with each; 500 by default. */
  readonly retryDelayMs?: number
}

export type HalftoneClient = {
  /**
   * Uploads a picture; resolves when it has been checked and can be shown. Rejects with a HalftoneError, or with the signal's reason
   * (a DOMException `AbortError`).
   */
  uploadImage(this: void, file: Blob, options?: UploadOptions): Promise<ImageDocument>
}

export function createClient(settings: ClientOptions): HalftoneClient {
  // Pages without types leave it out, too.
  const { baseUrl } = settings as Partial<ClientOptions>
  if (baseUrl === undefined) throw new TypeError("createClient: expected baseUrl ('' for the page's own origin)")
  const options: ApiOptions = {
    baseUrl: baseUrl.replace(/\/+$/, ''),
    token: settings.token,
    // Looked up late, and called as the global it is: others may wrap it, and browsers want no other `this`.
    fetch: settings.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    retries: settings.retries ?? 4,
    retryDelayMs: settings.retryDelayMs ?? 500,
  }
  return { uploadImage: (file, asked = {}) => uploadImage(file, asked, options) }
}
