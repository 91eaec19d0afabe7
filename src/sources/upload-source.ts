import { AppError } from '../errors.ts'
import type { OriginalGrant, OriginalRules, OriginalState, Source } from './source.ts'

/** What is told of an uploaded image that may be served now. */
export type ServedOriginal = {
  readonly visibility: 'public' | 'private'
  readonly version: number
  readonly filename: string
  /** Differs whenever what is rendered from it must be rendered anew. */
  readonly state: string
  readonly objectKey: string
  readonly byteLength: number
  readonly createdAtMs: number
}

export type UploadSourceDeps = {
  readonly name: string
  /** The version, or the newest one; undefined for all that may not be seen. Asked on every request. */
  readonly find: (imageId: string, version: number | undefined) => Promise<ServedOriginal | undefined>
  /** Another number than the last one whenever `find` may answer otherwise than before. */
  readonly changeMark: () => number
  /** Never more than `maxBytes` in memory. */
  readonly readObject: (key: string, maxBytes: number, signal: AbortSignal) => Promise<Buffer | undefined>
  /** What a token in the URL opens. Throws `signature_invalid`, `signature_expired`. */
  readonly openToken: (
    token: string,
    asked: { readonly imageId: string; readonly version: number | undefined },
  ) => Promise<OriginalGrant>
}

/** `/<image id>`, or `/<image id>/<version>/<any name>`. */
const pathForm = /^\/(img_[0-9a-z]{26})(?:\/([1-9]\d{0,8})\/[^/]{1,255})?$/
/** What a path becomes: names are for people, and the version is always said. */
const resolvedForm = /^\/(img_[0-9a-z]{26})\/([1-9]\d{0,8})$/

/** Uploaded images: each has rules of its own, and what is not ready is not there. */
export function createUploadSource(deps: UploadSourceDeps): Source {
  async function served(path: string): Promise<ServedOriginal | undefined> {
    const [, imageId, version] = resolvedForm.exec(path) ?? []
    return imageId === undefined ? undefined : deps.find(imageId, Number(version))
  }
  return {
    name: deps.name,
    async rules(path, query): Promise<OriginalRules | undefined> {
      const [, imageId, said] = pathForm.exec(path) ?? []
      if (imageId === undefined) return undefined
      const version = said === undefined ? undefined : Number(said)
      const mark = deps.changeMark()
      const original = await deps.find(imageId, version)
      if (!original) return undefined
      const token = original.visibility === 'private' ? tokenOf(query) : undefined
      return {
        path: `/${imageId}/${original.version}`,
        filename: original.filename,
        tag: `image-${imageId}`,
        visibility: original.visibility,
        immutable: version !== undefined,
        grant: token === undefined ? undefined : await deps.openToken(token, { imageId, version }),
        stillHold: () => deps.changeMark() === mark,
      }
    },
    async stat(path) {
      const original = await served(path)
      return original && stateOf(original)
    },
    async read(path, signal) {
      const original = await served(path)
      const bytes = original && (await deps.readObject(original.objectKey, original.byteLength, signal))
      if (!original || !bytes) return undefined
      if (bytes.length !== original.byteLength) throw new AppError('source_truncated')
      return { ...stateOf(original), bytes }
    },
    close: () => Promise.resolve(),
  }
}

function stateOf({ state, byteLength, createdAtMs }: ServedOriginal): OriginalState {
  return { version: state, byteLength, lastModifiedMs: createdAtMs }
}

function tokenOf(query: string): string | undefined {
  return new URLSearchParams(query).get('token') ?? undefined
}
