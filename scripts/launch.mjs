// Runs a TypeScript entry of this repository on a fresh clone: brings a new enough Node and the packages where they are missing, bundles
// the server where its sources have changed, then hands over. Plain JavaScript, because the Node that starts it may be an old one.
//   node scripts/launch.mjs [--with-dev] <entry.ts> [arguments]
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { builtServer } from './built-server.mjs'
import { launchEnvironment, nodeFlags, serverEnvironment } from './launch-options.mjs'

// Type stripping is on by default from 22.18; `dist/` runs from 22.14 on.
const minimumNode = [22, 18]
const broughtNode = '24.21.0'
const lockStaleMs = 10 * 60_000
const lockUnwrittenMs = 5000

const parent = process.ppid
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const args = process.argv.slice(2)
const withDev = args[0] === '--with-dev'
if (withDev) args.shift()
const [entry, ...rest] = args
if (!entry) fail('usage: node scripts/launch.mjs [--with-dev] <entry.ts> [arguments]')

const isServer = entry === 'src/main.ts'
const lock = join(root, '.launch-lock')
handOver(await locked(prepare))

/** What to run, and the Node to run it. */
async function prepare() {
  const node = isNewEnough(process.versions.node) ? process.execPath : await bringNode()
  await installPackages(node)
  const onFailure = (reason) => say(`could not be bundled, and starts from the sources: ${reason}`)
  return { node, file: isServer ? builtServer(root, { node, onFailure }) : resolve(root, entry) }
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > minimumNode[0] || (major === minimumNode[0] && minor >= minimumNode[1])
}

/** Two launches at once (a server and the tests, say) must not install into each other's feet. */
async function locked(work) {
  for (let waited = 0; !takesLock(); waited += 200) {
    if (waited === 1000) say('another launch is installing or bundling; waiting for it')
    if (isLeftBehind()) rmSync(lock, { recursive: true, force: true })
    else await sleep(200)
  }
  const unlock = () => void (holders()[0] === process.pid && rmSync(lock, { force: true }))
  process.once('exit', unlock)
  try {
    return await work()
  } finally {
    unlock()
    process.off('exit', unlock)
  }
}

function takesLock() {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  }
}

/**
 * Ctrl-C in the first installation ends this process without a word, and the next start must not wait for it; but for the npm that it
 * leaves behind, which takes some seconds to put things back. Nor must it wait for itself: where numbers are few, as in a container, it
 * may have got that of the one which left the lock.
 */
function isLeftBehind() {
  const pids = holders()
  // Nothing is in it yet, or never will be: it is written right after it was made.
  if (pids.length === 0) return lockAge() > lockUnwrittenMs
  return !pids.some((pid) => pid !== process.pid && isAlive(pid)) || lockAge() > lockStaleMs
}

/** The launch that has the lock, and the npm that it waits for. */
function holders() {
  try {
    return readFileSync(lock, 'utf8')
      .split(' ')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid > 0)
  } catch {
    return []
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code !== 'ESRCH'
  }
}

function lockAge() {
  const facts = statSync(lock, { throwIfNoEntry: false })
  return facts === undefined ? 0 : Date.now() - facts.mtimeMs
}

async function bringNode() {
  const home = join(root, '.node')
  const binary = join(home, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (existsSync(binary) && spawnSync(binary, ['-v'], { encoding: 'utf8' }).stdout?.trim() === `v${broughtNode}`)
    return binary
  say(
    `Node ${process.versions.node} is older than ${minimumNode.join('.')}: bringing Node ${broughtNode} into .node/ (about 190 MB, once)`,
  )
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), '{ "private": true }\n')
  await npm(
    process.execPath,
    ['install', '--prefix', home, '--no-save', '--no-package-lock', '--ignore-scripts=false', `node@${broughtNode}`],
    home,
  )
  if (!existsSync(binary))
    fail(`Node could not be brought. Install Node ${minimumNode.join('.')} or later and run this again.`)
  return binary
}

async function installPackages(node) {
  const stampFile = join(root, 'node_modules', '.halftone-installed')
  const lockHash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : ''
  if (stamp === `${lockHash} all` || (!withDev && stamp === `${lockHash} production`)) return
  say(`installing packages${withDev ? ', tools for tests included' : ''} (some 45 s, once)`)
  await npm(node, ['ci', '--no-fund', '--no-audit', ...(withDev ? [] : ['--omit=dev'])], root)
  writeFileSync(stampFile, `${lockHash} ${withDev ? 'all' : 'production'}`)
}

/** Runs npm under the given Node, so that it resolves engines and builds for that one. Output is shown only on failure. */
async function npm(node, npmArgs, cwd) {
  const cli = process.env.npm_execpath
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
  const [command, commandArgs] = cli && /\.c?js$/.test(cli) ? [node, [cli, ...npmArgs]] : ['npm', npmArgs]
  const stdio = ['ignore', 'pipe', 'pipe']
  const child = spawn(command, commandArgs, {
    cwd,
    env,
    stdio,
    shell: process.platform === 'win32' && command === 'npm',
  })
  writeFileSync(lock, `${process.pid} ${child.pid ?? ''}`)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const failure = await new Promise((resolve) => {
    child.once('error', (error) => resolve(`: ${error.message}`))
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : signal ? `: it was ended by ${signal}` : ''))
  })
  if (failure === undefined) return
  process.stderr.write(output)
  fail(`npm ${npmArgs[0]} failed${failure}`)
}

function handOver({ node, file }) {
  const env = {
    ...(isServer ? serverEnvironment(root, file) : launchEnvironment(root)),
    ...process.env,
    PATH: `${dirname(node)}${delimiter}${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`,
  }
  const child = spawn(node, [...nodeFlags, file, ...rest], {
    cwd: root,
    stdio: 'inherit',
    env,
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  // npm runs this through a shell that dies of a signal without passing it on: an orphan ends as if it had got it.
  if (process.env.npm_lifecycle_event) setInterval(() => process.ppid === parent || child.kill('SIGTERM'), 500).unref()
  child.on('error', (error) => fail(error.message))
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

function say(text) {
  process.stderr.write(`halftone: ${text}\n`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
