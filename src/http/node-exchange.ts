import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

type Done = (error?: Error | null) => void

/**
 * A connection as Node's HTTP sees it for the length of one exchange: bytes pass through, and when the answer is out and nothing
 * else has come, the connection goes back to who lent it. One that is never given back lives and dies with this.
 */
export class NodeExchange extends Duplex {
  readonly #socket: Socket
  readonly #onOver: () => void
  #mayReturn = true
  #isOver = false

  constructor(socket: Socket, onOver: () => void) {
    // Waiting bytes are counted where they wait: in the socket.
    super({ readableHighWaterMark: 0, writableHighWaterMark: socket.writableHighWaterMark, decodeStrings: false })
    this.#socket = socket
    this.#onOver = onOver
  }

  /** Bytes of the client. Whatever comes after the first request may be half of another one: then the connection stays here. */
  receive(bytes: Buffer, isWholeRequest: boolean): void {
    this.#mayReturn &&= isWholeRequest
    if (!this.push(bytes)) this.#socket.pause()
  }

  /** The client has said all. */
  receiveEnd(): void {
    this.#mayReturn = false
    this.push(null)
  }

  /** Call with the answer before it is written. */
  returnAfter(response: ServerResponse): void {
    response.once('finish', () => {
      if (!this.#mayReturn || this.writableEnded || this.destroyed) return
      this.#isOver = true
      this.destroy()
      this.#onOver()
    })
  }

  override _read(): void {
    if (!this.#isOver) this.#socket.resume()
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    this.#socket.write(chunk, encoding, done)
  }

  override _writev(chunks: readonly { chunk: Buffer | string; encoding: BufferEncoding }[], done: Done): void {
    // Head and body leave together.
    this.#socket.cork()
    for (const [index, { chunk, encoding }] of chunks.entries())
      this.#socket.write(chunk, encoding, index === chunks.length - 1 ? done : undefined)
    this.#socket.uncork()
  }

  override _final(done: Done): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: Done): void {
    if (!this.#isOver) this.#socket.destroy(error ?? undefined)
    done(error)
  }

  // What Node and express ask of a connection.
  setTimeout(timeoutMs: number, callback?: () => void): this {
    if (callback) this.once('timeout', callback)
    this.#socket.setTimeout(timeoutMs)
    return this
  }
  destroySoon(): void {
    this.#socket.destroySoon()
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(enable?: boolean, initialDelayMs?: number): this {
    this.#socket.setKeepAlive(enable, initialDelayMs)
    return this
  }
  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress
  }
  get remoteFamily(): string | undefined {
    return this.#socket.remoteFamily
  }
  get remotePort(): number | undefined {
    return this.#socket.remotePort
  }
  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }
  get localPort(): number | undefined {
    return this.#socket.localPort
  }
  get bytesRead(): number {
    return this.#socket.bytesRead
  }
  get bytesWritten(): number {
    return this.#socket.bytesWritten
  }
}
