// The server as `npm start` runs it: bundled once for each state of its sources, as a start then takes two thirds of the time. Plain
// JavaScript, because the Node that runs this may be an old one.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

// The last used stay, 4 MB each, for servers that run from them and load some of their files only when they are needed.
const keptBuilds = 20

export function builtServer(root, { node = process.execPath, onFailure = () => {} } = {}) {
  // Not in node_modules, which npm empties under a running server.
  const builds = join(root, '.builds')
  const folder = join(builds, fingerprintOf(root))
  const main = join(folder, 'main.js')
  if (existsSync(main)) {
    noteUse(folder)
    return main
  }
  const unfinished = `${folder}-${process.pid}`
  const { status, stderr, error } = spawnSync(node, [join(root, 'scripts', 'bundle-server.ts'), unfinished], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status === 0) takeName(unfinished, folder)
  rmSync(unfinished, { recursive: true, force: true })
  if (existsSync(main)) {
    removeOld(builds)
    return main
  }
  onFailure(error?.message ?? stripVTControlCharacters(stderr).trim())
  return join(root, 'src', 'main.ts')
}

/** What has its name is whole. */
function takeName(unfinished, folder) {
  try {
    renameSync(unfinished, folder)
  } catch {
    // Another process was first, with the same; or it cannot be had here, and the sources are run.
  }
}

/**
 * Of all that goes into a build. Times and sizes: reading half a thousand files would cost as much as it saves. The time of the inode, too,
 * as that of the content can be set back.
 */
function fingerprintOf(root) {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')))
  const add = (path) => {
    const { mtimeMs, ctimeMs, size } = statSync(join(root, path))
    hash.update(`${path}\0${mtimeMs}\0${ctimeMs}\0${size}\0`)
  }
  add(join('scripts', 'bundle-server.ts'))
  for (const entry of readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true }))
    if (entry.isFile()) add(join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
  return hash.digest('hex').slice(0, 16)
}

function noteUse(folder) {
  const now = new Date()
  try {
    utimesSync(folder, now, now)
  } catch {
    // It may belong to another user, and is as good.
  }
}

function removeOld(builds) {
  // Others may be removing them at the same time.
  const byAge = readdirSync(builds).flatMap((name) => {
    const path = join(builds, name)
    const facts = statSync(path, { throwIfNoEntry: false })
    return facts ? [{ path, usedMs: facts.mtimeMs }] : []
  })
  byAge.sort((a, b) => b.usedMs - a.usedMs)
  for (const { path } of byAge.slice(keptBuilds)) {
    try {
      rmSync(path, { recursive: true, force: true })
    } catch {
      // Of another user, say: it takes room, and does no other harm.
    }
  }
}
