import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type S3Server = {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Another account; its keys are `AK<name>` and `SK<name>`, and it owns nothing. */
  addUser(name: string): Promise<void>
  /** Stops answering for a while, as a store that is down: resolved when no thread of it runs any more. */
  pause(): Promise<void>
  resume(): void
  close(): Promise<void>
}

const programs = [
  '/usr/bin/ceph-mon',
  '/usr/bin/ceph-osd',
  '/usr/bin/radosgw',
  '/usr/bin/radosgw-admin',
  '/usr/bin/ceph',
]

/** Debian's packages ceph-mon, ceph-osd, ceph-common and radosgw; `npm test` installs them. */
export const hasS3Server = programs.every((program) => existsSync(program))

const startAttempts = 3
const startTimeoutMs = 60_000

/**
 * A real S3 server on free loopback ports, all in memory: Ceph's gateway over one monitor and one store. It verifies
 * signatures, enforces upload policies and answers CORS by bucket. Takes some 15 s to start. A part that ends while it
 * starts (a port that was free has been taken meanwhile) costs an attempt: the next one has ports of its own.
 */
export async function startS3Server(): Promise<S3Server> {
  for (let attempt = 1; ; attempt += 1) {
    const cluster = await createCluster()
    try {
      return await startParts(cluster)
    } catch (error) {
      await cluster.close()
      if (attempt === startAttempts) throw error
      console.log(`the S3 server did not start, attempt ${attempt}: ${String(error)}`)
    }
  }
}

type Cluster = Awaited<ReturnType<typeof createCluster>>

/** A folder with the configuration, and the ways to start and to ask what runs in it. */
async function createCluster() {
  const directory = await mkdtemp(join(tmpdir(), 'halftone-s3-'))
  const [gatewayPort, monitorPort] = await freePorts()
  const clusterId = randomUUID()
  const configFile = join(directory, 'ceph.conf')
  for (const part of ['mon', 'osd', 'rgw']) await mkdir(join(directory, part))
  await writeFile(configFile, configuration({ directory, gatewayPort, monitorPort, clusterId }))
  const running: ChildProcess[] = []
  // Otherwise the first thing they do is to ask the monitor for settings, and then they forget the id of the cluster for a
  // moment: a command sent in it is refused ('wrong fsid'), of which a store that has just been started dies.
  const own = ['-c', configFile, '--no-mon-config']
  return {
    ...{ directory, gatewayPort, monitorPort, clusterId },
    tool: (program: string, ...args: string[]) => run(program, [...own, ...args], { timeout: startTimeoutMs }),
    /** `logName` as in the configuration: what it says last is told when it ends too early. */
    start(program: string, logName: string, args: readonly string[]): Part {
      const child = spawn(program, [...own, ...args, '-f'], { cwd: directory, stdio: 'ignore' })
      running.push(child)
      const died = new Promise<never>((_resolve, reject) => {
        child.once('error', reject)
        child.once('exit', () => reject(new Error(`${program} ended:\n${tailOf(join(directory, `${logName}.log`))}`)))
      })
      died.catch(() => undefined)
      return { child, until: (isThere) => Promise.race([until(isThere, program), died]) }
    },
    async close() {
      // Gateway first, so that it does not wait for a store that is gone.
      for (const child of running.toReversed()) await stop(child)
      await rm(directory, { recursive: true, force: true })
    },
  }
}

type Part = {
  readonly child: ChildProcess
  /** Rejects also when the part ends. */
  until(isThere: () => Promise<boolean>): Promise<void>
}

async function startParts(cluster: Cluster): Promise<S3Server> {
  const { directory, clusterId, monitorPort, gatewayPort, tool, start, close } = cluster
  const ceph = (...args: string[]) => tool('ceph', '--connect-timeout', '3', ...args)
  const addUser = async (name: string) => {
    const keys = [`--access-key=AK${name}`, `--secret=SK${name}`]
    await tool(
      'radosgw-admin',
      '-n',
      'client.rgw',
      'user',
      'create',
      `--uid=${name}`,
      `--display-name=${name}`,
      ...keys,
    )
  }
  const map = join(directory, 'monmap')
  await run('monmaptool', ['--create', '--fsid', clusterId, '--addv', 'a', `[v1:127.0.0.1:${monitorPort}]`, map])
  await tool('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map)
  const monitor = start('ceph-mon', 'mon.a', ['-i', 'a'])
  await monitor.until(() => ceph('mon', 'stat').then(() => true))
  const storeId = randomUUID()
  await monitor.until(() => ceph('osd', 'new', storeId).then(() => true))
  await tool('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', storeId)
  const store = start('ceph-osd', 'osd.0', ['-i', '0'])
  await store.until(async () => (await ceph('osd', 'stat')).stdout.includes('1 up'))
  await addUser('TEST')
  const gateway = start('radosgw', 'client.rgw', ['-n', 'client.rgw'])
  const endpoint = `http://127.0.0.1:${gatewayPort}`
  await gateway.until(() => fetch(endpoint).then(() => true))
  return {
    ...{ endpoint, region: 'us-east-1', accessKeyId: 'AKTEST', secretAccessKey: 'SKTEST', addUser, close },
    pause: async () => {
      gateway.child.kill('SIGSTOP')
      await until(async () => (await threadStates(gateway.child)).every((state) => state === 'T'), 'SIGSTOP')
    },
    resume: () => void gateway.child.kill('SIGCONT'),
  }
}

/** The kernel's letters: a signal stops the threads of a process one by one, and some still answer meanwhile. */
async function threadStates(child: ChildProcess): Promise<string[]> {
  const tasks = `/proc/${child.pid}/task`
  const stats = await Promise.all((await readdir(tasks)).map((task) => readFile(join(tasks, task, 'stat'), 'utf8')))
  return stats.map((stat) => stat.slice(stat.lastIndexOf(')') + 2).charAt(0))
}

/** Held together until all are known, so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const
  const take = async (server: Server) => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }
  const ports: [number, number] = [await take(servers[0]), await take(servers[1])]
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function tailOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8).join('\n') : '(no log)'
}

async function until(isThere: () => Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = Date.now() + startTimeoutMs
  let last: unknown
  for (;;) {
    const isUp = await isThere().catch((error: unknown) => void (last = error))
    if (isUp === true) return
    if (Date.now() > deadlineMs) throw new Error(`${what}: nothing within a minute`, { cause: last })
    await sleep(150)
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGCONT')
  child.kill('SIGTERM')
  // The store takes seconds to say goodbye, and holds nothing that anybody wants.
  const timer = setTimeout(() => child.kill('SIGKILL'), 1500)
  await exited
  clearTimeout(timer)
}

function configuration(place: {
  readonly directory: string
  readonly gatewayPort: number
  readonly monitorPort: number
  readonly clusterId: string
}): string {
  const { directory, gatewayPort, monitorPort, clusterId } = place
  return `[global]
fsid = ${clusterId}
mon initial members = a
mon host = [v1:127.0.0.1:${monitorPort}]
public addr = 127.0.0.1
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
run dir = ${directory}
admin socket = ${directory}/$name.asok
log file = ${directory}/$name.log
pid file = ${directory}/$name.pid
mon data = ${directory}/mon
osd data = ${directory}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd max object name len = 256
ms type = async+posix
mon warn on insecure global id reclaim allowed = false
mon data avail crit = 1
mon data avail warn = 2
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1
rgw data = ${directory}/rgw
rgw dns name =
rgw enable ops log = false
rgw enable usage log = false
rgw thread pool size = 16
rgw gc max objs = 7
rgw lc max objs = 7
rgw num rados handles = 1
rgw bucket default quota max objects = -1
rgw override bucket index max shards = 1
rgw max post size = 5368709120
`
}
