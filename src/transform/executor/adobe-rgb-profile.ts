/** Colorants of Adobe RGB (1998) adapted to D50 (Adobe RGB (1998) Color Image Encoding, section 4.3.5). */
const tags = {
  rXYZ: [0.60974, 0.31111, 0.01947],
  gXYZ: [0.20528, 0.62567, 0.06087],
  bXYZ: [0.14919, 0.06322, 0.74457],
  wtpt: [0.9642, 1, 0.82491],
} as const

/** 563/256 as u8Fixed8. */
const gamma = 0x0233
const headerBytes = 128

/** A compact ICC 2.1 matrix profile with the primaries and gamma of Adobe RGB (1998), a few hundred bytes. */
export function adobeRgbProfile(): Buffer {
  const curve = curveTag()
  const blocks: readonly (readonly [readonly string[], Buffer])[] = [
    [['desc'], descriptionTag('A98C')],
    [['cprt'], textTag('CC0')],
    ...Object.entries(tags).map(([name, xyz]) => [[name], xyzTag(xyz)] as const),
    [['rTRC', 'gTRC', 'bTRC'], curve],
  ]
  const count = blocks.reduce((sum, [names]) => sum + names.length, 0)
  const table = Buffer.alloc(4 + count * 12)
  table.writeUInt32BE(count, 0)
  let offset = headerBytes + table.length
  let entry = 4
  for (const [names, block] of blocks) {
    for (const name of names) {
      table.write(name, entry, 'latin1')
      table.writeUInt32BE(offset, entry + 4)
      table.writeUInt32BE(block.length, entry + 8)
      entry += 12
    }
    offset += block.length
  }
  return Buffer.concat([header(offset), table, ...blocks.map(([, block]) => block)])
}

function header(size: number): Buffer {
  const bytes = Buffer.alloc(headerBytes)
  bytes.writeUInt32BE(size, 0)
  bytes.writeUInt32BE(0x02100000, 8)
  bytes.write('mntrRGB XYZ ', 12, 'latin1')
  for (const [index, part] of [2000, 1, 1].entries()) bytes.writeUInt16BE(part, 24 + index * 2)
  bytes.write('acsp', 36, 'latin1')
  writeXyz(bytes, 68, tags.wtpt)
  return bytes
}

function xyzTag(xyz: readonly number[]): Buffer {
  const bytes = Buffer.alloc(20)
  bytes.write('XYZ ', 0, 'latin1')
  writeXyz(bytes, 8, xyz)
  return bytes
}

function writeXyz(bytes: Buffer, at: number, xyz: readonly number[]): void {
  for (const [index, value] of xyz.entries()) bytes.writeInt32BE(Math.round(value * 65536), at + index * 4)
}

function curveTag(): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.write('curv', 0, 'latin1')
  bytes.writeUInt32BE(1, 8)
  bytes.writeUInt16BE(gamma, 12)
  return bytes
}

function textTag(text: string): Buffer {
  return padded(Buffer.from(`text\0\0\0\0${text}\0`, 'latin1'))
}

/** ICC 2 textDescriptionType: ASCII, then empty Unicode and Macintosh parts. */
function descriptionTag(text: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length + 1, 0)
  return padded(
    Buffer.concat([
      Buffer.from('desc\0\0\0\0', 'latin1'),
      length,
      Buffer.from(`${text}\0`, 'latin1'),
      Buffer.alloc(78),
    ]),
  )
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
