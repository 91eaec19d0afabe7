import { constants, type BigIntStats } from 'node:fs'
import { open, readlink, realpath, stat, type FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import { assertDecodedPath } from './decode-path.ts'
import { shareHolds } from './share-holds.ts'
import type { HeldOriginal, HoldingSource, Original, OriginalState, Source } from './source.ts'
import { untilAborted } from './until-aborted.ts'

export type FileSourceOptions = {
  readonly name: string
  readonly folder: string
  /** Originals above it are refused with `source_too_large`. */
  readonly maxBytes: number
}

/** No file stands there, whatever the reason: also ELOOP, and ENXIO (a socket, or a pipe nobody writes to). */
const absentCodes = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EISDIR', 'ENXIO', 'ENODEV'])

/** O_NONBLOCK: opening a pipe that was swapped in must not wait for its writer. */
const openFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY

/** File times tick in steps of up to 10 ms (the kernel's timer), so a younger change may be followed by one with the same time. */
const clockTickMs = 20

/**
 * A folder of originals. Serves regular files only, never dotfiles; symbolic links work as long as they end inside
 * the folder. Where a file really is gets asked of the opened handle, so that swapping links in between gains nothing.
 * An unreadable file is `source_failed`, not absent: the operator must see it. See docs/decisions/folder-source.md.
 */
export function createFileSource(options: FileSourceOptions): Source {
  const source: Source = {
    name: options.name,
    stat: (path, signal) => withOriginal(path, options, signal, ({ facts }) => Promise.resolve(stateOf(facts))),
    read: (path, signal) => readOriginal(path, options, signal),
    close: () => Promise.resolve(),
  }
  // Elsewhere a file that is open here has no name by which another process could reach it.
  if (process.platform !== 'linux') return source
  const holding: HoldingSource = { ...source, hold: shareHolds((path, signal) => holdOriginal(path, options, signal)) }
  return holding
}

async function readOriginal(
  path: string,
  options: FileSourceOptions,
  signal: AbortSignal,
): Promise<Original | undefined> {
  for (let attempt = 1; attempt <= 2; attempt++) {
    const outcome = await withOriginal(path, options, signal, (opened) => readUnchanged(opened, signal))
    if (outcome === undefined) return undefined
    if (outcome !== 'changed') return outcome
  }
  throw new AppError('source_failed', { detail: 'The original changed while it was read.' })
}

async function holdOriginal(
  path: string,
  options: FileSourceOptions,
  signal: AbortSignal,
): Promise<HeldOriginal | undefined> {
  const opened = await openOriginal(path, options, signal)
  if (!opened) return undefined
  const { handle, facts } = opened
  try {
    await untilTicked(facts, signal)
  } catch (error) {
    closeQuietly(handle)
    throw error
  }
  return {
    ...stateOf(facts),
    heldPath: `/proc/${String(process.pid)}/fd/${String(handle.fd)}`,
    // A closed handle must not vouch for anything: its number may be another file's by now.
    isUnchanged: async (signal) => handle.fd !== -1 && (await isStill(opened, signal)),
    async read(signal) {
      const original = await readUnchanged(opened, signal)
      return original === 'changed' ? undefined : original.bytes
    },
    close: () => closeQuietly(handle),
  }
}

type OpenedOriginal = { readonly handle: FileHandle; readonly facts: BigIntStats }

/** Opens, uses and closes. undefined: no servable file is there. */
async function withOriginal<T>(
  path: string,
  options: FileSourceOptions,
  signal: AbortSignal,
  use: (opened: OpenedOriginal) => Promise<T>,
): Promise<T | undefined> {
  const opened = await openOriginal(path, options, signal)
  if (!opened) return undefined
  try {
    return await use(opened)
  } catch (error) {
    return absentOrFailure(error)
  } finally {
    closeQuietly(opened.handle)
  }
}

/** Opens and checks; closes again what may not be served. */
async function openOriginal(
  path: string,
  options: FileSourceOptions,
  signal: AbortSignal,
): Promise<OpenedOriginal | undefined> {
  assertDecodedPath(path)
  try {
    const root = await untilAborted(findRoot(options.folder), signal)
    const fullPath = root === '/' ? path : root + path
    // Before opening, because opening a device can already do something; after it, because the file may be another by then.
    if (!(await untilAborted(stat(fullPath), signal)).isFile()) return undefined
    const handle = await untilAborted(open(fullPath, openFlags), signal, closeQuietly)
    let isServable = false
    try {
      const facts = await servableFacts({ handle, root, fullPath }, options, signal)
      isServable = facts !== undefined
      return facts && { handle, facts }
    } finally {
      if (!isServable) closeQuietly(handle)
    }
  } catch (error) {
    return absentOrFailure(error)
  }
}

async function servableFacts(
  { handle, root, fullPath }: { readonly handle: FileHandle; readonly root: string; readonly fullPath: string },
  { maxBytes }: FileSourceOptions,
  signal: AbortSignal,
): Promise<BigIntStats | undefined> {
  const facts = await untilAborted(handle.stat({ bigint: true }), signal)
  if (!facts.isFile() || !isInside(root, await untilAborted(placeOf(handle, fullPath, facts), signal))) return undefined
  if (facts.size > BigInt(maxBytes)) throw tooLarge(facts.size, maxBytes)
  return facts
}

/** Lets a change that just happened grow old enough for the next one to have another time. */
async function untilTicked(facts: BigIntStats, signal: AbortSignal): Promise<void> {
  const ageMs = Date.now() - Number(facts.ctimeMs)
  if (ageMs >= 0 && ageMs < clockTickMs) await untilAborted(sleep(clockTickMs), signal)
}

async function isStill({ handle, facts }: OpenedOriginal, signal: AbortSignal): Promise<boolean> {
  return versionOf(await untilAborted(handle.stat({ bigint: true }), signal)) === versionOf(facts)
}

/** Reads to the end of the size that was seen; `changed` when the file is not the same before and after. */
async function readUnchanged(opened: OpenedOriginal, signal: AbortSignal): Promise<Original | 'changed'> {
  const { handle, facts } = opened
  await untilTicked(facts, signal)
  if (!(await isStill(opened, signal))) return 'changed'
  const byteLength = Number(facts.size)
  // Unpooled: a slice of the shared pool would keep 8 kB of strangers alive in every cache.
  const bytes = Buffer.allocUnsafeSlow(byteLength)
  let filled = 0
  while (filled < byteLength) {
    const { bytesRead } = await untilAborted(handle.read(bytes, filled, byteLength - filled, filled), signal)
    if (bytesRead === 0) return 'changed'
    filled += bytesRead
  }
  return (await isStill(opened, signal)) ? { ...stateOf(facts), bytes } : 'changed'
}

/** The folder itself may be a link that a deployment moves, so it is resolved anew. A missing root is a failure, not absence. */
async function findRoot(folder: string): Promise<string> {
  try {
    return await realpath(folder)
  } catch (error) {
    throw new AppError('source_failed', { cause: error, details: { errno: errnoOf(error) } })
  }
}

/** Where the opened file really is: asked of the kernel on Linux, elsewhere by name and compared with the handle. */
async function placeOf(handle: FileHandle, fullPath: string, facts: BigIntStats): Promise<string | undefined> {
  try {
    return await readlink(`/proc/self/fd/${String(handle.fd)}`)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  const place = await realpath(fullPath)
  const there = await stat(place, { bigint: true })
  return there.dev === facts.dev && there.ino === facts.ino ? place : undefined
}

/** Below the root, and on no dotfile: a link must not show what its target may not. */
function isInside(root: string, place: string | undefined): boolean {
  const top = root === '/' ? root : `${root}/`
  return place !== undefined && place.startsWith(top) && !place.slice(top.length - 1).includes('/.')
}

function stateOf(facts: BigIntStats): OriginalState {
  return { version: versionOf(facts), byteLength: Number(facts.size), lastModifiedMs: Number(facts.mtimeMs) }
}

/** ctime sees what mtime can be set back from; no device number, because mounts get another one at every boot. */
function versionOf(facts: BigIntStats): string {
  return [facts.ino, facts.size, facts.mtimeNs, facts.ctimeNs].map((fact) => fact.toString(36)).join('-')
}

function tooLarge(byteLength: bigint, limitBytes: number): AppError {
  return new AppError('source_too_large', {
    detail: `The original has ${String(byteLength)} bytes; at most ${String(limitBytes)} are accepted.`,
    details: { byteLength: Number(byteLength), limitBytes },
  })
}

function absentOrFailure(error: unknown): undefined {
  if (error instanceof AppError) throw error
  const errno = errnoOf(error)
  if (absentCodes.has(errno)) return undefined
  // What is no file system error is the reason of an abort or a bug: both must keep their identity.
  if (errno === '') throw error
  throw new AppError('source_failed', { cause: error, details: { errno } })
}

function closeQuietly(handle: FileHandle): void {
  // The descriptor is given back in any case, and of a read-only file nothing can be lost.
  handle.close().catch(() => undefined)
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : ''
}
