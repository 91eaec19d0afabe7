import { createServer, type AddressInfo, type Socket } from 'node:net'

export type ClamdServer = Awaited<ReturnType<typeof startClamdServer>>

/** clamd's INSTREAM as clamd(8) describes it, over TCP. `answer` gives the reply to a whole stream; `never` none. */
export async function startClamdServer(
  answer: (bytes: Buffer) => string,
  options: { readonly maxBytes?: number; readonly reads?: boolean } = {},
) {
  const { maxBytes = Infinity, reads = true } = options
  const streams: Buffer[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    let held = Buffer.alloc(0)
    let stream: Buffer[] | undefined
    if (reads) socket.on('data', (chunk: Buffer) => take(chunk))
    const take = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      if (stream === undefined) {
        if (held.length < 10) return
        if (held.toString('latin1', 0, 10) !== 'zINSTREAM\0') return void socket.end('UNKNOWN COMMAND\0')
        stream = []
        held = held.subarray(10)
      }
      while (held.length >= 4) {
        const length = held.readUInt32BE(0)
        if (length === 0) {
          const bytes = Buffer.concat(stream)
          streams.push(bytes)
          const reply = answer(bytes)
          return void (reply === 'never' || socket.end(`${reply}\0`))
        }
        if (held.length < 4 + length) return
        stream.push(held.subarray(4, 4 + length))
        held = held.subarray(4 + length)
        if (stream.reduce((sum, part) => sum + part.length, 0) > maxBytes)
          return void socket.end('INSTREAM size limit exceeded. ERROR\0')
      }
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    streams,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
