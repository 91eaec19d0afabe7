/** A picture that nobody may upload. */
export type Ban = { readonly tier: 'quarantine' | 'reject'; readonly reason: string }

export type BanList = {
  /** The strictest ban of these bytes, or of a picture that looks like this one; hashes in lower-case hex. */
  find(picture: { readonly sha256: string; readonly perceptualHash: string }): Ban | undefined
}

export type BanListReading =
  { readonly ok: true; readonly list: BanList } | { readonly ok: false; readonly faults: readonly string[] }

const maxFaults = 10
const line = /^(?:sha256:([0-9a-f]{64})|phash:([0-9a-f]{16}))(?:\s+(\S+)(?:\s+(.*))?)?$/i

type PerceptualBan = { readonly high: number; readonly low: number; readonly ban: Ban }
type Entry = { readonly sha256: string; readonly ban: Ban } | PerceptualBan

/**
 * Lines of `sha256:<64 hex digits>` or `phash:<16 hex digits>`, each with `reject` (the default) or `quarantine` and a reason if so wished;
 * empty lines and those that begin with # say nothing. `maxDistance` is the number of bits in which perceptual hashes may differ.
 */
export function readBanList(text: string, maxDistance: number): BanListReading {
  const exact = new Map<string, Ban>()
  const similar: PerceptualBan[] = []
  const faults: string[] = []
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    const trimmed = written.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const entry = readLine(trimmed, maxDistance)
    if (typeof entry === 'string')
      faults.push(`line ${index + 1}: ${entry}, got ${JSON.stringify(trimmed.slice(0, 60))}`)
    else if ('sha256' in entry) exact.set(entry.sha256, stricter(exact.get(entry.sha256), entry.ban))
    else similar.push(entry)
    if (faults.length >= maxFaults) break
  }
  if (faults.length > 0) return { ok: false, faults }
  return {
    ok: true,
    list: {
      find({ sha256, perceptualHash }) {
        const found = exact.get(sha256)
        return found?.tier === 'reject' ? found : strictestSimilar(similar, perceptualHash, { found, maxDistance })
      },
    },
  }
}

/** The entry, or what was expected in its place. */
function readLine(text: string, maxDistance: number): Entry | string {
  const [, sha256, phash, tier = 'reject', reason = 'banned'] = line.exec(text) ?? []
  if (tier !== 'reject' && tier !== 'quarantine') return 'expected reject or quarantine after the hash'
  const ban = { tier, reason: reason.slice(0, 200) } as const
  if (sha256 !== undefined) return { sha256: sha256.toLowerCase(), ban }
  if (phash === undefined) return 'expected sha256: and 64 or phash: and 16 hex digits'
  const halves = halvesOf(phash)
  // Every picture without structure has a hash of one bit: such an entry would ban them all.
  if (bitCount(halves.high) + bitCount(halves.low) <= maxDistance + 1)
    return `expected a phash of more than ${maxDistance + 1} bits, as others are near every plain picture (ban it by sha256)`
  return { ...halves, ban }
}

function strictestSimilar(
  bans: readonly PerceptualBan[],
  perceptualHash: string,
  { found, maxDistance }: { readonly found: Ban | undefined; readonly maxDistance: number },
): Ban | undefined {
  const { high, low } = halvesOf(perceptualHash)
  let strictest = found
  for (const one of bans) {
    if (bitCount(one.high ^ high) + bitCount(one.low ^ low) > maxDistance) continue
    strictest = stricter(strictest, one.ban)
    if (strictest.tier === 'reject') return strictest
  }
  return strictest
}

function stricter(one: Ban | undefined, other: Ban): Ban {
  return one === undefined || other.tier === 'reject' ? other : one
}

/** Two numbers of 32 bits: a BigInt for each comparison is 40 times slower. */
function halvesOf(hash: string): { high: number; low: number } {
  return { high: Number.parseInt(hash.slice(0, 8), 16) | 0, low: Number.parseInt(hash.slice(8), 16) | 0 }
}

/** Bits of a 32-bit number that are set (Warren, "Hacker's Delight", 5-1). */
function bitCount(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555)
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
