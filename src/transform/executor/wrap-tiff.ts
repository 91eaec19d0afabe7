/** Uncompressed 8-bit pixels with a profile in a TIFF, so that libvips reads both; RGB, or RGBA with straight alpha. */
export function wrapTiff(picture: {
  readonly pixels: Uint8Array
  readonly width: number
  readonly height: number
  readonly channels: 3 | 4
  readonly profile: Buffer | undefined
}): Buffer {
  const { pixels, width, height, channels, profile } = picture
  const entries: [tag: number, type: 3 | 4 | 7, count: number, value: number][] = []
  const tail: Buffer[] = []
  const entryCount = 9 + (channels === 4 ? 1 : 0) + (profile ? 1 : 0)
  let offset = 8 + 2 + entryCount * 12 + 4
  const place = (bytes: Buffer): number => {
    const at = offset
    const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)])
    tail.push(even)
    offset += even.length
    return at
  }
  const bitsPerSample = Buffer.alloc(channels * 2)
  for (let channel = 0; channel < channels; channel++) bitsPerSample.writeUInt16LE(8, channel * 2)
  entries.push([256, 4, 1, width], [257, 4, 1, height], [258, 3, channels, place(bitsPerSample)])
  const profileAt = profile && place(profile)
  // Compression none, photometric RGB, one strip, samples side by side (TIFF 6.0, section 8).
  entries.push([259, 3, 1, 1], [262, 3, 1, 2], [273, 4, 1, offset], [277, 3, 1, channels], [278, 4, 1, height])
  entries.push([279, 4, 1, pixels.length])
  if (channels === 4) entries.push([338, 3, 1, 2])
  if (profile && profileAt !== undefined) entries.push([34675, 7, profile.length, profileAt])
  return Buffer.concat([directory(entries), ...tail, pixels])
}

function directory(entries: readonly (readonly [number, number, number, number])[]): Buffer {
  const bytes = Buffer.alloc(8 + 2 + entries.length * 12 + 4)
  bytes.write('II*\0', 0, 'latin1')
  bytes.writeUInt32LE(8, 4)
  bytes.writeUInt16LE(entries.length, 8)
  for (const [index, [tag, type, count, value]] of entries.entries()) {
    const at = 10 + index * 12
    bytes.writeUInt16LE(tag, at)
    bytes.writeUInt16LE(type, at + 2)
    bytes.writeUInt32LE(count, at + 4)
    bytes.writeUInt32LE(value, at + 8)
  }
  return bytes
}
