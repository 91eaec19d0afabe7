import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrateStores } from '../../src/db/open-stores.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { hasPostgres, noPostgres, startPostgres, type PostgresServer } from '../helpers/postgres-server.ts'
import { runHalftone, type Ran } from '../helpers/run-halftone.ts'
import { startUploads } from '../helpers/upload-api.ts'

if (!hasPostgres) console.log(noPostgres)

let postgres: PostgresServer
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'halftone-postgres-cli-'))
  if (hasPostgres) postgres = await startPostgres()
})
afterAll(async () => {
  await postgres?.close()
  rmSync(folder, { recursive: true, force: true })
})

function run(args: readonly string[], settings: Record<string, string>): Promise<Ran> {
  return runHalftone(args, { HALFTONE_SOURCE: folder, HALFTONE_DATA_DIR: join(folder, 'data'), ...settings })
}

/** Turns to TLS as PostgreSQL does, with a certificate of its own for another host. */
async function startTlsFront() {
  const [key, certificate] = [join(folder, 'front.key'), join(folder, 'front.crt')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const names = ['-subj', '/CN=db.example.com', '-addext', 'subjectAltName=DNS:db.example.com']
  execFileSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', certificate], { stdio: 'ignore' })
  const pair = { key: readFileSync(key), cert: readFileSync(certificate) }
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write('S')
      new TLSSocket(socket, { isServer: true, ...pair }).on('error', () => undefined)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { certificate, port: (server.address() as AddressInfo).port, close: () => void server.close() }
}

describe.skipIf(!hasPostgres)('commands on PostgreSQL', () => {
  test('migrate makes the tables; keys, doctor and audit work on what the server has stored', async () => {
    const name = await postgres.createDatabase()
    const settings = { DATABASE_URL: postgres.url(name), HALFTONE_DATA_DIR: join(folder, 'served') }
    const early = await run(['doctor'], settings)
    expect(early.code).toBe(2)
    expect(early.stderr).toContain('There are no tables of Halftone in this database')

    const shown = `postgres://halftone@127.0.0.1:${postgres.port}/${name}`
    const first = await run(['migrate', '--json'], settings)
    const version: unknown = expect.stringMatching(/^\d{4}-/)
    const applied: unknown = expect.arrayContaining(['0001-uploads'])
    expect(JSON.parse(first.stdout)).toMatchObject({ database: shown, applied, version })

    const server = await startUploads(settings)
    const { image } = await server.admin.upload(await drawGradientJpeg(200, 100))
    await server.stop()
    const made = await run(['keys', 'create', '--name', 'ci', '--json'], settings)
    expect(made.code).toBe(0)
    const [listed, doctor, audit, explained] = await Promise.all([
      run(['keys', 'list', '--json'], settings),
      run(['doctor', '--deep', '--json'], settings),
      run(['audit', '--json'], settings),
      run(['explain', `/u/${image.id}?w=10`, '--json'], settings),
    ])
    expect(JSON.parse(listed.stdout)).toMatchObject([{ name: 'ci' }])
    expect(JSON.parse(doctor.stdout)).toMatchObject({ ok: true, database: shown })
    expect(JSON.parse(audit.stdout)).toMatchObject({ objects: 1, findings: [] })
    expect(explained.stdout).toContain(image.id)
    for (const { stdout, stderr } of [first, made, listed, doctor, audit, explained])
      expect(stdout + stderr).not.toContain('p%40ss')
  }, 60_000)

  test('the password is not printed with the configuration, also where it stands in a file', async () => {
    const url = postgres.url('halftone')
    const file = join(folder, 'database-url')
    writeFileSync(file, `${url}\n`)
    const { stdout, stderr } = await run(['serve', '--print-config'], {
      ...{ DATABASE_URL_FILE: file, HALFTONE_DATABASE_CONNECTIONS: '7' },
    })
    expect(stdout).toContain(`database.postgres.url = "postgres://halftone@127.0.0.1:${postgres.port}/halftone"`)
    expect(stdout).toContain('database.postgres.connections = 7')
    expect(stderr).toContain('HALFTONE_UPLOADS=disk keeps the bytes on this machine')
    expect(stdout).not.toContain('p%40ss')
  })

  test('a start that cannot be says which setting is wrong, and how to mend it', async () => {
    const name = await postgres.createDatabase()
    await postgres.sql(name, "create role guest login password 'guest'; create role nobody nologin password 'nobody'")
    const guest = { user: 'guest', password: 'guest' }
    const wrong = [
      [postgres.url(name, { password: 'hidden' }), /DATABASE_URL .*the user halftone or its password is wrong/],
      [postgres.url(name, { user: 'nobody', password: 'nobody' }), /user nobody is not let in/],
      [postgres.url('absent'), /there is no database absent\. Make it \(createdb absent\)/],
      [postgres.url(name, guest), /user guest may not make tables\. Let it: .*GRANT CREATE ON SCHEMA public TO guest/],
      [
        'postgres://u:hidden@127.0.0.1:1/db',
        /cannot be reached \(.*ECONNREFUSED.*\)\. Start it, or correct host and port/,
      ],
      ['postgres://u:hidden@no-such-host.invalid/db', /cannot be reached \(.*no-such-host\.invalid/],
    ] as const
    for (const [url, said] of wrong) {
      const failure = migrateStores({ postgres: { url, connections: 2, statementTimeoutMs: 5000 } })
      const message = await failure.catch((error: unknown) => String(error))
      expect(message).toMatch(said)
      expect(message).not.toContain('hidden')
    }
    const { code, stderr } = await run(['serve'], { DATABASE_URL: wrong[0][0], PORT: '0' })
    expect(code).toBe(1)
    expect(stderr).not.toContain('    at ')
    expect(stderr).toMatch(wrong[0][1])
    expect(stderr).not.toContain('hidden')
  })

  test('what is wrong with TLS is told with the parameter that mends it', async () => {
    const url = postgres.url('postgres')
    const failureOf = (parameters: string, base = url) =>
      migrateStores({
        postgres: { url: `${base}?${parameters}`, connections: 2, statementTimeoutMs: 5000 },
      }).catch(String)
    expect(await failureOf('sslmode=verify-full')).toMatch(/the server has no TLS\. .*sslmode=disable/)
    const absent = join(folder, 'absent.crt')
    expect(await failureOf(`sslmode=verify-full&sslrootcert=${absent}`)).toMatch(
      /the file of sslrootcert cannot be read \(ENOENT.*absent\.crt.*Correct the path/,
    )
    expect(await failureOf(`sslmode=verify-full&sslrootcert=${folder}`)).toMatch(/the file of sslrootcert .*EISDIR/)
    expect(await failureOf('uselibpqcompat=true&sslmode=verify-ca')).toMatch(/wants to know its CA.*sslrootcert=/)

    const own = await startTlsFront()
    const front = url.replace(/:\d+\//, `:${own.port}/`)
    expect(await failureOf('sslmode=verify-full', front)).toMatch(
      /the certificate of the server is not trusted \(self-signed certificate\)\. .*sslrootcert=/,
    )
    expect(await failureOf(`sslmode=verify-full&sslrootcert=${own.certificate}`, front)).toMatch(
      /not trusted \(.*does not match.*\)\. Write the host of the URL as the certificate names it/,
    )
    own.close()
  })

  test('a URL without the password that the server wants is told at once, and the process ends', async () => {
    const url = postgres.url('postgres').replace(/:[^/:]*@/, '@')
    const startedAtMs = performance.now()
    for (const args of [['migrate'], ['keys', 'list'], ['serve']]) {
      const { code, stderr } = await run(args, { DATABASE_URL: url, PORT: '0' })
      expect(stderr).toMatch(/DATABASE_URL has no password, and the server wants one \(postgres:\/\/halftone@127/)
      expect(code).toBe(1)
      expect(stderr.includes('HALFTONE_UPLOADS=disk')).toBe(args[0] === 'serve')
    }
    // The server itself hangs up after a minute.
    expect(performance.now() - startedAtMs).toBeLessThan(45_000)
  }, 60_000)
})
