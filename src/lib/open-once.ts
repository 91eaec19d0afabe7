/** Something that is opened with its first use and shared from then on. */
export interface OpenOnce<Value> {
  /** Rejects with what opening rejects with; the next call then tries again. */
  open(): Promise<Value>
  /** What is open or being opened, for closing it; undefined where it never came to that. Never rejects. */
  opened(): Promise<Value | undefined>
}

export function openOnce<Value>(openIt: () => Promise<Value>): OpenOnce<Value> {
  let opening: Promise<Value> | undefined
  return {
    open: () =>
      (opening ??= openIt().catch((error: unknown) => {
        opening = undefined
        throw error
      })),
    opened: async () => opening?.catch(() => undefined),
  }
}
