/** Gathers lines and hands them on in blocks. */
export interface LineBlocks {
  /** A whole line with its end. */
  write(line: string): void
  /** Hands on what is held. */
  flush(): void
}

/** A character of a JavaScript string takes so many bytes in UTF-8 at most. */
const widestCharacter = 3

/**
 * `send` gets whole lines, as soon as there are `blockBytes` of them. They are laid out outside of the heap as they come: appending
 * to a string takes half the time, but then thousands of its parts live until the block leaves, and what collects garbage has to
 * carry them along.
 */
export function createLineBlocks(blockBytes: number, send: (block: Buffer) => void): LineBlocks {
  const capacity = 2 * blockBytes
  let block: Buffer | undefined
  let used = 0
  function flush(): void {
    if (block === undefined || used === 0) return
    const full = block.subarray(0, used)
    block = undefined
    used = 0
    send(full)
  }
  return {
    write(line) {
      if (line.length * widestCharacter > capacity - used) flush()
      if (line.length * widestCharacter > capacity) return send(Buffer.from(line))
      block ??= Buffer.allocUnsafeSlow(capacity)
      used += block.write(line, used, 'utf8')
      if (used >= blockBytes) flush()
    },
    flush,
  }
}
