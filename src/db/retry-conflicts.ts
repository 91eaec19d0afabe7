import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import type { Stores } from './stores.ts'

const tries = 5
/** Of what met each other once the second time comes at another moment. */
const longestPauseMs = 50

export type ConflictRules = {
  readonly isConflict: (error: unknown) => boolean
  /** Whether it passes with the others; the rest is told as it is. */
  readonly isPassing: (error: unknown) => boolean
}

type Method = (...given: never[]) => Promise<unknown>

/**
 * The stores over a database that undoes a transaction where two stand in each other's way. Every method of every store is one
 * transaction, or one that may be done twice, so that what was undone is simply done again.
 */
export function retryConflicts(stores: Stores, rules: ConflictRules): Stores {
  const { images } = stores
  const entries = Object.entries(stores).map(([name, store]: [string, object]) => [
    name,
    typeof store === 'function' ? store : retryMethods(store, rules),
  ])
  const retried = Object.fromEntries(entries) as Stores
  // Asked on every hit, and of nobody: nothing stands between.
  return { ...retried, images: { ...retried.images, changeMark: () => images.changeMark() } }
}

function retryMethods(store: object, rules: ConflictRules): object {
  const entries = Object.entries(store).map(([name, method]: [string, Method]) => {
    const retried: Method = (...given) => again(() => method(...given), rules)
    return [name, retried]
  })
  return Object.fromEntries(entries) as object
}

async function again<T>(work: () => Promise<T>, { isConflict, isPassing }: ConflictRules): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await work()
    } catch (error) {
      if (!isConflict(error)) throw error
      if (tried < tries) await sleep(Math.random() * longestPauseMs)
      else if (isPassing(error)) throw tooManyConflicts(error)
      else throw error
    }
  }
}

function tooManyConflicts(cause: unknown): AppError {
  return new AppError('overloaded', { cause, detail: 'Too many others change the same at the moment.' })
}
