import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type PictureOrigin = {
  readonly url: string
  /** Requests for originals so far. */
  readonly requests: () => number
  readonly close: () => Promise<void>
}

/** Sooner, the first fetch would be over before the last of a herd has asked. */
const answerAfterMs = 50

/** An HTTP host that gives the same picture under every path, after a moment, and counts. */
export async function startPictureOrigin(file: string): Promise<PictureOrigin> {
  const picture = await readFile(file)
  let requests = 0
  const server = createServer((_request, response) => {
    requests += 1
    const headers = { 'Content-Type': 'image/jpeg', 'Content-Length': picture.length, 'Cache-Control': 'max-age=600' }
    setTimeout(() => response.writeHead(200, headers).end(picture), answerAfterMs)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
