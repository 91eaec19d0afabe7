import { AppError } from '../errors.ts'

/** Bounds the memory that originals take while they are read, wait for a renderer, and are rendered. */
export interface OriginalBudget {
  /** Runs `work` with so many bytes reserved. Throws `overloaded` at once when they are not free. */
  spend<Value>(byteLength: number, work: () => Promise<Value>): Promise<Value>
}

/** `maxBytes` for all originals in flight; a single one is always let through when nothing else is. */
export function createOriginalBudget(maxBytes: number): OriginalBudget {
  let spentBytes = 0
  return {
    async spend(byteLength, work) {
      if (spentBytes > 0 && spentBytes + byteLength > maxBytes) {
        throw new AppError('overloaded', { details: { originalsInFlightBytes: spentBytes } })
      }
      spentBytes += byteLength
      try {
        return await work()
      } finally {
        spentBytes -= byteLength
      }
    },
  }
}
