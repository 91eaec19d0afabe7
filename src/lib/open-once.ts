/** Something that is opened with its first use and shared from then on. */
export interface OpenOnce<Value> {
  /** Rejects with what opening rejects with, and the next call tries again; with `whenClosed` once it was closed. */
  open(): Promise<Value>
  /** Lets go of what is open or being opened, if anything is. */
  close(release: (value: Value) => void | Promise<void>): Promise<void>
}

export function openOnce<Value>(openIt: () => Promise<Value>, whenClosed: () => Error): OpenOnce<Value> {
  let opening: Promise<Value> | undefined
  let isClosed = false
  return {
    open() {
      if (isClosed) return Promise.reject(whenClosed())
      return (opening ??= openIt().catch((error: unknown) => {
        opening = undefined
        throw error
      }))
    },
    async close(release) {
      isClosed = true
      const opened = await opening?.then(
        (value) => ({ value }),
        () => undefined,
      )
      opening = undefined
      if (opened) await release(opened.value)
    },
  }
}
