import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
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

/**
 * A real S3 server on free loopback ports, all in memory: Ceph's gateway over one monitor and one store. It verifies
 * signatures, enforces upload policies and answers CORS by bucket. Takes some 15 s to start.
 */
export async function startS3Server(): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), 'halftone-s3-'))
  const [gatewayPort, monitorPort] = [await freePort(), await freePort()]
  const clusterId = randomUUID()
  const configFile = join(directory, 'ceph.conf')
  for (const part of ['mon', 'osd', 'rgw']) await mkdir(join(directory, part))
  await writeFile(configFile, configuration({ directory, gatewayPort, monitorPort, clusterId }))
  const running: ChildProcess[] = []
  const start = (program: string, args: readonly string[]) => {
    const child = spawn(program, ['-c', configFile, ...args, '-f'], { cwd: directory, stdio: 'ignore' })
    running.push(child)
    return child
  }
  const ceph = (...args: string[]) =>
    run('ceph', ['-c', configFile, '--connect-timeout', '3', ...args], { timeout: 10_000 })
  const addUser = async (name: string) => {
    const keys = [`--access-key=AK${name}`, `--secret=SK${name}`]
    const user = ['user', 'create', `--uid=${name}`, `--display-name=${name}`, ...keys]
    await run('radosgw-admin', ['-c', configFile, '-n', 'client.rgw', ...user], { timeout: 60_000 })
  }
  const close = async () => {
    // Gateway first, so that it does not wait for a store that is gone.
    await Promise.all(running.toReversed().map(stop))
    await rm(directory, { recursive: true, force: true })
  }

  try {
    const map = join(directory, 'monmap')
    await run('monmaptool', ['--create', '--fsid', clusterId, '--addv', 'a', `[v1:127.0.0.1:${monitorPort}]`, map])
    await run('ceph-mon', ['-c', configFile, '--mkfs', '-i', 'a', '--monmap', map])
    start('ceph-mon', ['-i', 'a'])
    await until(() => ceph('mon', 'stat').then(() => true))
    const storeId = randomUUID()
    await ceph('osd', 'new', storeId)
    await run('ceph-osd', ['-c', configFile, '-i', '0', '--mkfs', '--osd-uuid', storeId])
    start('ceph-osd', ['-i', '0'])
    await until(async () => (await ceph('osd', 'stat')).stdout.includes('1 up'))
    await addUser('TEST')
    const gateway = start('radosgw', ['-n', 'client.rgw'])
    const endpoint = `http://127.0.0.1:${gatewayPort}`
    await until(() => fetch(endpoint).then(() => true))
    return {
      ...{ endpoint, region: 'us-east-1', accessKeyId: 'AKTEST', secretAccessKey: 'SKTEST', addUser, close },
      pause: async () => {
        gateway.kill('SIGSTOP')
        await until(async () => (await threadStates(gateway)).every((state) => state === 'T'))
      },
      resume: () => void gateway.kill('SIGCONT'),
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The kernel's letters: a signal stops the threads of a process one by one, and some still answer meanwhile. */
async function threadStates(child: ChildProcess): Promise<string[]> {
  const tasks = `/proc/${child.pid}/task`
  const stats = await Promise.all((await readdir(tasks)).map((task) => readFile(join(tasks, task, 'stat'), 'utf8')))
  return stats.map((stat) => stat.slice(stat.lastIndexOf(')') + 2).charAt(0))
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function until(isThere: () => Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 60_000
  for (;;) {
    if (await isThere().catch(() => false)) return
    if (Date.now() > deadlineMs) throw new Error('a part of the S3 server did not start within a minute')
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
