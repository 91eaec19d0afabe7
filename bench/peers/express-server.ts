import { readFileSync } from 'node:fs'
import express from 'express'
import type { BufferServerJob } from './buffer-server.ts'

/** One route that sends a buffer as one would write it, the ETag left to express, which hashes the body for it. */
const { port, file, headers } = JSON.parse(process.argv[2] ?? '') as BufferServerJob
const body = readFileSync(file)
const { 'content-type': contentType = 'image/jpeg', 'cache-control': cacheControl = 'public' } = headers
const app = express()
app.get('/picture', (_request, response) => {
  response.set({ 'Content-Type': contentType, 'Cache-Control': cacheControl }).send(body)
})
app.listen(port, '127.0.0.1')
