import { createServer } from 'node:http'
import Database from 'better-sqlite3'

/** The least that can be promised: one row of one table, on the disk before it is told. */
const { port, file } = JSON.parse(process.argv[2] ?? '') as { port: number; file: string }
const database = new Database(file)
database.pragma('journal_mode = WAL')
database.pragma('synchronous = FULL')
database.exec('create table uploads (id integer primary key, intent text not null) strict')
const insert = database.prepare('insert into uploads (intent) values (?)')

createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => {
    const intent = request.method === 'POST' ? (JSON.parse(body) as object) : {}
    const id = request.method === 'POST' ? Number(insert.run(JSON.stringify(intent)).lastInsertRowid) : 0
    const answer = JSON.stringify({ ...intent, id })
    response.writeHead(request.method === 'POST' ? 201 : 200, { 'content-type': 'application/json' }).end(answer)
  })
}).listen(port, '127.0.0.1')
