import { close as closeFile, constants, fstat, open as openFile, read as readFile } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Slots } from '../lib/slots.ts'
import type { CachedResult } from './cached-result.ts'
import { inSlices } from './in-slices.ts'
import { errorCodeOf } from './outage-log.ts'
import type { QuickReads } from './quick-reads.ts'
import { decodeResult } from './result-codec.ts'

/** Most entries come with the first read, without asking for their size; four times the average of a picture on the web. */
const firstReadBytes = 64 * 1024
/** Above this, reads take turns. */
const largeReadBytes = 1024 * 1024
/** Buffers for first reads that are kept between reads; more are made when more is read at once. */
const spareBuffers = 8

const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What opening or reading a thing that is no file of ours says: a link, a folder, a pipe. */
const foreignCodes = new Set(['ELOOP', 'EISDIR', 'ESPIPE', 'ENXIO'])

/** Where the body stands in a file that was verified, and all else that was in it. */
export type Verified = {
  readonly fd: number
  readonly fileBytes: number
  readonly bodyStart: number
  readonly bodyBytes: number
  /** Of the body: four times cheaper than the SHA-256 before it, and finds what time and accidents do to bytes. */
  readonly bodyCrc: number
  readonly facts: Omit<CachedResult, 'body'>
}

type FirstRead = { readonly result: CachedResult; readonly fileBytes: number; readonly verified: Verified }

/** Opens, reads whole and verifies. The descriptor of a good file stays open and belongs to the caller. */
export function createFirstReads(maxFileBytes: number, largeReads: Slots) {
  const spare: Buffer[] = []

  const readVerified = async (
    key: string,
    { fd, scratch }: { readonly fd: number; readonly scratch: Buffer },
    onLarge: () => void,
  ): Promise<FirstRead | 'corrupt' | 'busy'> => {
    const first = await readInto(fd, scratch, 0, scratch.length)
    if (first < scratch.length) {
      const read = await verify(key, fd, scratch.subarray(0, first))
      // The scratch buffer is needed again.
      return read === 'corrupt' ? read : { ...read, result: { ...read.result, body: copyOf(read.result.body) } }
    }
    const size = await sizeOf(fd)
    if (size === undefined || size > maxFileBytes) return 'corrupt'
    const readOn = async () => verify(key, fd, await readRest(fd, scratch, size))
    return size > largeReadBytes ? inTurn({ largeReads, onLarge }, readOn) : readOn()
  }

  return {
    async read(key: string, path: string, onLarge: () => void): Promise<FirstRead | 'absent' | 'corrupt' | 'busy'> {
      const fd = await openOrRefuse(path)
      if (typeof fd === 'string') return fd
      const scratch = spare.pop() ?? Buffer.allocUnsafeSlow(firstReadBytes)
      let isGood = false
      try {
        const read = await readVerified(key, { fd, scratch }, onLarge)
        isGood = typeof read !== 'string'
        return read
      } catch (error) {
        if (foreignCodes.has(errorCodeOf(error))) return 'corrupt'
        throw error
      } finally {
        if (!isGood) closeQuietly(fd)
        if (spare.length < spareBuffers) spare.push(scratch)
      }
    },
  }
}

async function openOrRefuse(path: string): Promise<number | 'absent' | 'corrupt'> {
  try {
    return await new Promise<number>((resolve, reject) => {
      openFile(path, readFlags, (error, fd) => (error ? reject(error) : resolve(fd)))
    })
  } catch (error) {
    const code = errorCodeOf(error)
    if (code === 'ENOENT') return 'absent'
    if (foreignCodes.has(code)) return 'corrupt'
    throw error
  }
}

/** A file of that size, of which `first` has been read. */
async function readRest(fd: number, first: Buffer, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size)
  let filled = first.copy(bytes)
  while (filled < size) {
    const got = await readInto(fd, bytes, filled, size - filled)
    if (got === 0) break
    filled += got
  }
  return bytes.subarray(0, filled)
}

/** The body shares memory with `bytes`. */
async function verify(key: string, fd: number, bytes: Buffer): Promise<FirstRead | 'corrupt'> {
  const result = await decodeResult(key, bytes)
  if (!result) return 'corrupt'
  const { body, ...facts } = result
  const bodyStart = body.byteOffset - bytes.byteOffset
  const verified = { fd, bodyStart, bodyBytes: body.length, bodyCrc: await crcOf(body), facts }
  return { result, fileBytes: bytes.length, verified: { ...verified, fileBytes: bytes.length } }
}

/** The line of large reads, and who is told of waiting in it. */
type LargeReads = { readonly largeReads: Slots; readonly onLarge: () => void }

/** Nobody leaves the line: whoever does not want to wait any more leaves the read as a whole to itself. */
async function inTurn<T>({ largeReads, onLarge }: LargeReads, work: () => Promise<T>): Promise<T | 'busy'> {
  onLarge()
  const giveBack = await largeReads.take()
  if (!giveBack) return 'busy'
  try {
    return await work()
  } finally {
    giveBack()
  }
}

/** Of a body; CRC-32 of all that has been read stands for it from then on. */
async function crcOf(body: Buffer): Promise<number> {
  let crc = 0
  await inSlices(body, (slice) => (crc = crc32(slice, crc)))
  return crc
}

/** The body of a verified file, undefined when it is not what it was. */
export async function readBody(
  verified: Verified,
  { quickReads, ...large }: { readonly quickReads: QuickReads } & LargeReads,
): Promise<Buffer | 'busy' | undefined> {
  const { fd, bodyStart, bodyBytes, bodyCrc } = verified
  const read = async () => {
    const body = Buffer.allocUnsafeSlow(bodyBytes)
    if (bodyBytes === 0) return body
    const got = quickReads.into(fd, body, bodyStart) ?? (await readInto(fd, body, 0, bodyBytes, bodyStart))
    return got === bodyBytes && (await crcOf(body)) === bodyCrc ? body : undefined
  }
  return bodyBytes > largeReadBytes ? inTurn(large, read) : read()
}

/** The callback API: a promise's handle costs as much again as the system call. */
function readInto(fd: number, bytes: Buffer, at: number, length: number, position: number = at): Promise<number> {
  return new Promise((resolve, reject) => {
    readFile(fd, bytes, at, length, position, (error, got) => (error ? reject(error) : resolve(got)))
  })
}

function sizeOf(fd: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    fstat(fd, (error, file) => (error ? reject(error) : resolve(file.isFile() ? file.size : undefined)))
  })
}

export function closeQuietly(fd: number): void {
  // The descriptor is given back in any case, and of a file that was only read nothing can be lost.
  closeFile(fd, () => undefined)
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}
