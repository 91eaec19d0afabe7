import { HalftoneError } from './halftone-error.ts'
import type { SignedRequest } from './image-document.ts'
import { sendBytes, type SendOptions } from './send-bytes.ts'

export type PartsPlan = {
  readonly partBytes: number
  readonly parts: number
  /** Signs the PUTs of some parts, by their numbers. */
  readonly sign: (numbers: readonly number[], signal: AbortSignal) => Promise<readonly SignedRequest[]>
}

// Enough to fill a fast line; browsers open six connections to a host at most.
const lanes = 3
// Few, so that those signed last are still good when their turn comes.
const batchSize = 6

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
  const batches = new Map<number, Promise<readonly SignedRequest[]>>()
  let next = 1

  async function signedFor(number: number): Promise<SignedRequest> {
    const place = (number - 1) % batchSize
    const first = number - place
    const numbers = Array.from({ length: Math.min(batchSize, plan.parts - first + 1) }, (_, index) => first + index)
    const batch = batches.get(first) ?? plan.sign(numbers, ended)
    batches.set(first, batch)
    const signed = (await batch)[place]
    if (!signed) throw new HalftoneError('store_refused', { detail: `Part ${number} was not signed.` })
    return signed
  }

  async function sendPart(number: number, signed: SignedRequest): Promise<void> {
    const start = (number - 1) * plan.partBytes
    const bytes = file.slice(start, Math.min(start + plan.partBytes, file.size))
    const watch = {
      signal: ended,
      onLoaded: (loaded: number) => {
        loadedOf[number - 1] = loaded
        onLoaded(loadedOf.reduce((sum, one) => sum + one, 0))
      },
    }
    try {
      await sendBytes(signed, bytes, options, watch)
    } catch (error) {
      if (!(error instanceof HalftoneError) || error.status !== 403) throw error
      const [fresh = signed] = await plan.sign([number], ended)
      await sendBytes(fresh, bytes, options, watch)
    }
  }

  async function runLane(): Promise<void> {
    while (next <= plan.parts) {
      const number = next++
      await sendPart(number, await signedFor(number))
    }
  }

  try {
    await Promise.all(Array.from({ length: lanes }, runLane))
  } catch (error) {
    stop.abort(error)
    throw error
  }
}
