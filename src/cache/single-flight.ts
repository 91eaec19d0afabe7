import { AppError } from '../errors.ts'

export type SharedWork<T> = (signal: AbortSignal) => Promise<T>

export interface SingleFlight<T> {
  /**
   * Joins the work under way for `key`, or leads by starting it. The work's signal aborts only when everybody has left; one whose own
   * signal aborts leaves at once with its own reason. Throws `overloaded` when too many keys are under way.
   */
  run(key: string, work: SharedWork<T>, signal: AbortSignal): Promise<{ value: T; role: 'leader' | 'follower' }>
  size(): number
}

type Flight<T> = { readonly controller: AbortController; readonly outcome: Promise<T>; waiters: number }

/** Far above what admission lets through; a backstop, so that the map of flights cannot grow without end. */
const defaultMaxFlights = 10_000

/** One piece of work per key at a time, however many ask. */
export function createSingleFlight<T>(options: { readonly maxFlights?: number } = {}): SingleFlight<T> {
  const maxFlights = options.maxFlights ?? defaultMaxFlights
  const flights = new Map<string, Flight<T>>()

  const forget = (key: string, flight: Flight<T>) => {
    if (flights.get(key) === flight) flights.delete(key)
  }

  const start = (key: string, work: SharedWork<T>) => {
    const controller = new AbortController()
    // Begun one tick later, when the flight is on the map: work that asks for its own key would else lead again.
    const outcome = Promise.resolve().then(() => work(controller.signal))
    const flight: Flight<T> = { controller, outcome, waiters: 0 }
    flights.set(key, flight)
    const done = () => forget(key, flight)
    outcome.then(done, done)
    return flight
  }

  const leave = (key: string, flight: Flight<T>, reason: unknown) => {
    flight.waiters -= 1
    if (flight.waiters > 0) return
    // Forgotten first: whoever asks now must not join work that is being given up.
    forget(key, flight)
    flight.controller.abort(reason)
  }

  const join = (key: string, flight: Flight<T>, signal: AbortSignal) => {
    flight.waiters += 1
    return new Promise<T>((resolve, reject) => {
      const onAbort = () => {
        leave(key, flight, signal.reason)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      flight.outcome.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    })
  }

  return {
    async run(key, work, signal) {
      signal.throwIfAborted()
      const underWay = flights.get(key)
      if (underWay) return { value: await join(key, underWay, signal), role: 'follower' }
      if (flights.size >= maxFlights) throw new AppError('overloaded', { details: { maxFlights } })
      return { value: await join(key, start(key, work), signal), role: 'leader' }
    },
    size: () => flights.size,
  }
}
