import { setImmediate as nextTurn } from 'node:timers/promises'

/** A millisecond or two of summing up. */
const sliceBytes = 1024 * 1024

/** Hands over bytes slice by slice. Between slices all others have their turn: a sum over 20 MB may take 80 ms. */
export async function inSlices(bytes: Buffer, take: (slice: Buffer) => void): Promise<void> {
  for (let start = 0; start < bytes.length; start += sliceBytes) {
    if (start > 0) await nextTurn()
    take(bytes.subarray(start, start + sliceBytes))
  }
}
