import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { SignedRequest } from '../../src/uploads/targets/upload-target.ts'

/** Clients in a process of their own: sends what is signed, all at once, and tells the statuses. */
process.on('message', ({ signed, size }: { signed: SignedRequest[]; size: number }) => {
  const body = randomBytes(size)
  const send = ({ url, headers }: SignedRequest) =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = request(url, { method: 'PUT', headers }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode))
      })
      sent.on('error', reject).end(body)
    })
  void Promise.all(signed.map(send)).then((statuses) => {
    process.send?.(statuses)
    process.disconnect()
  })
})
