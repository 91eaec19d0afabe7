/** An image that is ready to be shown, as the API describes it. Times are ISO 8601. */
export type ImageDocument = {
  readonly id: string
  readonly state: 'ready'
  readonly version: number
  readonly visibility: 'public' | 'private'
  readonly filename: string
  readonly kind?: string
  readonly subject?: string
  readonly metadata: Readonly<Record<string, string>>
  /** The whole picture; of a private image signed, until `urlExpiresAt`. */
  readonly url: string
  readonly format: string
  /** As shown: after the EXIF orientation. */
  readonly width: number
  readonly height: number
  readonly hasAlpha: boolean
  readonly frames: number
  readonly byteLength: number
  /** Base64; see `placeholder()`. */
  readonly thumbhash: string
  /** `#rrggbb` */
  readonly dominantColor: string
  readonly srcset: string
  readonly sizes: string
  /** An `<img>` of all this; `picture()` makes one with a text and a placeholder. */
  readonly html: string
  readonly urlExpiresAt?: string
  readonly createdAt: string
  readonly updatedAt: string
}

/** A request that the store of uploads takes, with exactly these headers. */
export type SignedRequest = {
  readonly method: 'PUT' | 'POST'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly fields?: Readonly<Record<string, string>>
}

export type UploadPermission =
  SignedRequest | { readonly method: 'PARTS'; readonly partBytes: number; readonly parts: number; readonly url: string }

export type UploadDocument = {
  readonly id: string
  readonly state:
    'pending' | 'uploaded' | 'processing' | 'ready' | 'rejected' | 'quarantined' | 'failed' | 'expired' | 'deleted'
  readonly error?: { readonly code: string; readonly detail?: string }
  /** Whole once the upload is ready. */
  readonly image: ImageDocument | { readonly id: string; readonly url: string }
  /** Opens this one upload, for callers without credentials. */
  readonly token?: string
  readonly upload?: UploadPermission
}
