import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { BufferServerJob } from './buffer-server.ts'

/** What Node itself can do: one look-up, a prebuilt head, one write. */
const { port, file, headers } = JSON.parse(process.argv[2] ?? '') as BufferServerJob
const body = readFileSync(file)
const head = Object.entries({ ...headers, 'Content-Length': String(body.length) }).flat()
const known = new Map([['/picture', { head, body }]])

createServer((request, response) => {
  const answer = known.get(request.url ?? '')
  if (!answer) return void response.writeHead(404).end()
  response.writeHead(200, answer.head)
  response.end(answer.body)
}).listen(port, '127.0.0.1')
