/** What two listings say of one key; at least one side is there. */
export type KeyPair<Left, Right> = {
  readonly key: string
  readonly left: Left | undefined
  readonly right: Right | undefined
}

type Sorted<T> = AsyncIterable<{ readonly key: string; readonly value: T }>

/** Walks two listings in key order at once, with one entry of each in memory. Throws when one of them is not in order. */
export async function* pairKeys<Left, Right>(
  lefts: Sorted<Left>,
  rights: Sorted<Right>,
): AsyncGenerator<KeyPair<Left, Right>, void> {
  const [left, right] = [readerOf(lefts, 'the store of bytes'), readerOf(rights, 'the database')]
  try {
    let [l, r] = [await left.next(), await right.next()]
    while (l !== undefined || r !== undefined) {
      const key = r === undefined || (l !== undefined && l.key <= r.key) ? (l?.key ?? '') : r.key
      const isLeft = l?.key === key
      const isRight = r?.key === key
      yield { key, left: isLeft ? l?.value : undefined, right: isRight ? r?.value : undefined }
      if (isLeft) l = await left.next()
      if (isRight) r = await right.next()
    }
  } finally {
    await left.close()
    await right.close()
  }
}

function readerOf<T>(entries: Sorted<T>, name: string) {
  const iterator = entries[Symbol.asyncIterator]()
  let last: string | undefined
  return {
    async next() {
      const next = await iterator.next()
      if (next.done === true) return undefined
      const { value } = next
      // A merge of unsorted listings would find ghosts everywhere, and those are deleted.
      if (last !== undefined && value.key <= last) {
        throw new Error(`${name} does not list its keys in order: ${value.key} after ${last}`)
      }
      last = value.key
      return value
    },
    close: () => iterator.return?.(),
  }
}
