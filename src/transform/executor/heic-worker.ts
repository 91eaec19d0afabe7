import { parentPort, workerData } from 'node:worker_threads'
import decodeHeic from 'heic-decode'

/** What the worker thread posts. A failure is the decoder's judgement of the file; whatever else goes wrong is thrown. */
export type HeicAnswer =
  { readonly width: number; readonly height: number; readonly pixels: Uint8Array } | { readonly failure: string }

/** A worker thread that decodes the one HEIC it was given, posts its RGBA pixels and ends. */
async function answerOf(buffer: Uint8Array): Promise<HeicAnswer> {
  try {
    const { width, height, data } = await decodeHeic({ buffer })
    return { width, height, pixels: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength) }
  } catch (error) {
    return { failure: String(error) }
  }
}

const answer = await answerOf(workerData as Uint8Array)
parentPort?.postMessage(answer, 'pixels' in answer ? [answer.pixels.buffer as ArrayBuffer] : [])
