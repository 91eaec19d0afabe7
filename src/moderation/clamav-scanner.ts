import { connect, type Socket } from 'node:net'
import type { Moderator, Verdict } from './moderator.ts'

// As clamd reads; its own limit for a whole stream (StreamMaxLength) answers with an error.
const chunkBytes = 64 * 1024
const maxReplyBytes = 4096

/**
 * Has clamd scan the uploaded bytes (INSTREAM, clamd(8)): each chunk after its length in four bytes, and a zero at the end.
 * What is found is named in no answer: uploaders learn that it was a virus, not which signature to get around.
 */
export function createClamavScanner(address: { readonly host: string; readonly port: number }): Moderator {
  return {
    name: 'clamav',
    async judge({ bytes }, signal) {
      signal.throwIfAborted()
      const socket = connect(address)
      const abort = () => socket.destroy(signal.reason as Error)
      signal.addEventListener('abort', abort, { once: true })
      try {
        const reply = readReply(socket)
        // Refused in the middle, clamd answers and closes: the answer says why, not the broken pipe.
        sendStream(socket, bytes).catch(() => undefined)
        return verdictOf(await reply)
      } finally {
        signal.removeEventListener('abort', abort)
        socket.destroy()
      }
    },
  }
}

async function sendStream(socket: Socket, bytes: Buffer): Promise<void> {
  await write(socket, Buffer.from('zINSTREAM\0'))
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes)
    socket.write(lengthOf(chunk.length))
    await write(socket, chunk)
  }
  await write(socket, lengthOf(0))
}

function lengthOf(count: number): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(count)
  return length
}

/** Resolves when the kernel has it, so that a slow scanner holds no second copy of the bytes. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

/** Up to the zero byte that ends it. Rejects when the connection ends before. */
function readReply(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let reply = ''
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      reply += text
      const end = reply.indexOf('\0')
      if (end !== -1) resolve(reply.slice(0, end))
      else if (reply.length > maxReplyBytes) reject(new Error('clamd answered more than it should'))
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('clamd closed the connection without an answer')))
  })
}

function verdictOf(reply: string): Verdict {
  if (/^stream: OK$/.test(reply)) return { tier: 'allow', reason: undefined }
  if (/^stream: .+ FOUND$/.test(reply)) return { tier: 'reject', reason: 'virus' }
  throw new Error(`clamd answered ${JSON.stringify(reply.slice(0, 200))}`)
}
