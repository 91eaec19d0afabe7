import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort } from './free-port.ts'

export type PostgresServer = Awaited<ReturnType<typeof startPostgres>>

const run = promisify(execFile)
const packages = '/usr/lib/postgresql'
const startAttempts = 3
const startTimeoutMs = 30_000
const password = 'p@ss/w%rd'

/** Programs of Debian's package postgresql; `npm test` installs it. */
const programs = newestPrograms()
export const hasPostgres = programs !== undefined

export const noPostgres = 'skipped: no PostgreSQL here (apt-get install postgresql)'

/**
 * A real PostgreSQL on a free loopback port in a folder of its own. It asks for a password, and its databases sort by the rules of a
 * language, as those of most servers do.
 */
export async function startPostgres() {
  for (let attempt = 1; ; attempt += 1) {
    const cluster = await createCluster()
    try {
      await cluster.start()
      return cluster
    } catch (error) {
      await cluster.close()
      if (attempt === startAttempts) throw error
      console.log(`PostgreSQL did not start, attempt ${attempt}: ${String(error)}`)
    }
  }
}

async function createCluster() {
  if (programs === undefined) throw new Error(noPostgres)
  const directory = await mkdtemp(join(tmpdir(), 'halftone-postgres-'))
  const data = join(directory, 'data')
  const log = join(directory, 'log')
  const user = serverUser()
  const port = await freePort()
  await mkdir(data)
  await writeFile(join(directory, 'password'), password)
  if (user) for (const path of [directory, data, join(directory, 'password')]) await chown(path, user.uid, user.gid)
  const secret = ['--auth=scram-sha-256', `--pwfile=${join(directory, 'password')}`, '--username=halftone']
  const language = ['--encoding=UTF8', '--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=en-US']
  await run(join(programs, 'initdb'), ['-D', data, '--no-sync', ...secret, ...language], { ...user, cwd: directory })
  const url = (database: string, change: { user?: string; password?: string } = {}) => {
    const { user: name = 'halftone', password: word = password } = change
    return `postgres://${name}:${encodeURIComponent(word)}@127.0.0.1:${port}/${database}`
  }
  let server: ChildProcess | undefined
  let databases = 0

  const clients = new Map<string, pg.Client>()
  const clientOf = async (database: string): Promise<pg.Client> => {
    const known = clients.get(database)
    if (known) return known
    const client = new pg.Client({ connectionString: url(database) })
    client.on('error', () => clients.delete(database))
    await client.connect()
    clients.set(database, client)
    return client
  }
  /** One statement after the other on one connection to that database. */
  const sql = async <Row extends object>(database: string, text: string, values?: unknown[]): Promise<Row[]> => {
    const client = await clientOf(database)
    return (await client.query<Row>(text, values)).rows
  }
  const start = async () => {
    const settings = {
      port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: directory,
      fsync: 'off',
      jit: 'off',
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const output = openSync(log, 'a')
    const child = spawn(join(programs ?? '', 'postgres'), ['-D', data, ...flags], {
      ...{ ...user, cwd: directory, stdio: ['ignore', output, output] },
    })
    closeSync(output)
    server = child
    const deadlineMs = Date.now() + startTimeoutMs
    while (
      !(await sql('postgres', 'select 1').then(
        () => true,
        () => false,
      ))
    ) {
      if (child.exitCode !== null) throw new Error(`PostgreSQL ended:\n${(await readFile(log, 'utf8')).slice(-1000)}`)
      if (Date.now() > deadlineMs) throw new Error('PostgreSQL: nothing within half a minute')
      await sleep(30)
    }
  }
  /** `fast`: connections are cut off. `crash`: as when the machine dies. */
  const stop = async (how: 'fast' | 'crash' = 'fast') => {
    const child = server
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    clients.clear()
    child.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await exited
  }
  return {
    ...{ port, url, sql, start, stop },
    /** Its log. */
    said: () => readFile(log, 'utf8'),
    async createDatabase(): Promise<string> {
      const name = `test_${(databases += 1)}`
      await sql('postgres', `create database ${name}`)
      return name
    },
    /** Much faster than making another one. */
    async empty(database: string) {
      const tables = await sql<{ name: string }>(
        database,
        "select quote_ident(tablename) as name from pg_tables where schemaname = 'public' and tablename not like 'kysely%'",
      )
      // Without looking after references, which asks for an order.
      const deletes = tables.map((table) => `delete from ${table.name};`)
      const unchecked = `set session_replication_role = replica; ${deletes.join(' ')}`
      await sql(database, `${unchecked} set session_replication_role = default`)
    },
    /** Everything stands still, and no connection breaks. */
    async freeze(isFrozen: boolean) {
      const signal = isFrozen ? 'STOP' : 'CONT'
      const pids = await serverProcesses(server?.pid ?? 0)
      for (const pid of pids) process.kill(pid, `SIG${signal}`)
    },
    async close() {
      await stop('crash')
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** The server and its children, by the kernel's own list. */
async function serverProcesses(pid: number): Promise<number[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim()
  return [pid, ...(children === '' ? [] : children.split(' ').map(Number))]
}

function newestPrograms(): string | undefined {
  if (!existsSync(packages)) return undefined
  const versions = readdirSync(packages).sort((a, b) => Number(b) - Number(a))
  return versions.map((version) => join(packages, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')))
}

/** PostgreSQL refuses to run as root; its package brings a user for it. */
function serverUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const [, uid, gid] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? []
  if (uid === undefined || gid === undefined) throw new Error('there is no user postgres')
  return { uid: Number(uid), gid: Number(gid) }
}
