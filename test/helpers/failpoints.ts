import type { UploadDeps } from '../../src/uploads/upload-deps.ts'

/**
 * The write path as a process that dies right after its call number `lastCall` of database, store and queue: that call is done, and nothing
 * that comes after it is. Infinity lives.
 */
export function dieAfter(lastCall: number, deps: UploadDeps) {
  const calls: string[] = []
  const died = Promise.withResolvers<void>()
  let isDead = false
  const nothing = new Promise<never>(() => undefined)

  function guard<Part extends object>(name: string, part: Part): Part {
    return new Proxy(part, {
      get(target, property): unknown {
        const value: unknown = Reflect.get(target, property)
        const path = `${name}.${String(property)}`
        if (typeof value === 'object' && value !== null) return guard(path, value)
        if (typeof value !== 'function') return value
        return (...given: unknown[]): unknown => {
          if (isDead) return nothing
          const result: unknown = Reflect.apply(value, target, given)
          if (!(result instanceof Promise)) return result
          calls.push(path)
          if (calls.length !== lastCall) return result
          isDead = true
          return result.then(
            () => (died.resolve(), nothing),
            () => (died.resolve(), nothing),
          )
        }
      },
    })
  }
  const { stores, target, queue } = deps
  return {
    calls,
    died: died.promise,
    deps: {
      ...deps,
      stores: guard('stores', stores),
      target: guard('target', target),
      queue: guard('queue', queue),
    } satisfies UploadDeps,
  }
}
