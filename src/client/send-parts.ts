import { HalftoneError } from './halftone-error.ts'
import type { SignedRequest } from './image-document.ts'
import { sendBytes, type SendOptions } from './send-bytes.ts'

export type PartsPlan = {
  readonly partBytes: number
  readonly parts: number
  /** Signs the PUTs of some parts, by their numbers. */
  readonly sign: (numbers: readonly number[], signal: AbortSignal) => Promise<SignedParts>
}

export type SignedParts = {
  readonly parts: readonly SignedRequest[]
  /** Seconds within which they are to be begun. */
  readonly expiresIn: number
}

// Enough to fill a fast line; browsers open six connections to a host at most.
const lanes = 3
// Few, so that those signed last are still good when their turn comes.
const batchSize = 6
/** How often a part may come too late for its permission: a line that stood still, a machine that slept. */
const freshPermissions = 2

type Batch = { readonly parts: readonly SignedRequest[]; readonly untilMs: number }

/** Sends a file in parts, some at once, each repeated by itself. The first that fails for good stops the others. */
export async function sendParts(
  file: Blob,
  plan: PartsPlan,
  options: SendOptions,
  { signal, onLoaded }: { readonly signal: AbortSignal; readonly onLoaded: (loaded: number) => void },
): Promise<void> {
  const stop = new AbortController()
  const ended = AbortSignal.any([signal, stop.signal])
  const loadedOf = Array<number>(plan.parts).fill(0)
  const batches = new Map<number, Promise<Batch>>()
  let next = 1

  async function sign(numbers: readonly number[]): Promise<Batch> {
    const askedMs = Date.now()
    const { parts, expiresIn } = await plan.sign(numbers, ended)
    return { parts, untilMs: askedMs + expiresIn * 1000 }
  }

  /** The batch that a part is in, signed anew where its time is up. */
  async function batchFrom(first: number): Promise<Batch> {
    const known = batches.get(first)
    if (known && (await known).untilMs > Date.now()) return known
    const fresh = sign(Array.from({ length: Math.min(batchSize, plan.parts - first + 1) }, (_, index) => first + index))
    batches.set(first, fresh)
    return fresh
  }

  async function sendPart(number: number): Promise<void> {
    const start = (number - 1) * plan.partBytes
    const bytes = file.slice(start, Math.min(start + plan.partBytes, file.size))
    const watch = {
      signal: ended,
      onLoaded: (loaded: number) => {
        loadedOf[number - 1] = loaded
        onLoaded(loadedOf.reduce((sum, one) => sum + one, 0))
      },
    }
    let place = (number - 1) % batchSize
    let batch = await batchFrom(number - place)
    for (let late = 0; ; late += 1) {
      try {
        const signed = batch.parts[place]
        if (!signed) throw new HalftoneError('store_refused', { detail: `Part ${number} was not signed.` })
        return await sendBytes(signed, bytes, options, watch)
      } catch (error) {
        if (late === freshPermissions || !isLate(error, batch)) throw error
        place = 0
        batch = await sign([number])
      }
    }
  }

  async function runLane(): Promise<void> {
    while (next <= plan.parts) await sendPart(next++)
  }

  try {
    await Promise.all(Array.from({ length: lanes }, runLane))
  } catch (error) {
    stop.abort(error)
    throw error
  }
}

/** A store that refuses while the bytes still come may not be heard: then the clock tells. */
function isLate(error: unknown, { untilMs }: Batch): boolean {
  if (!(error instanceof HalftoneError)) return false
  return error.status === 403 || (error.status === 0 && untilMs <= Date.now())
}
