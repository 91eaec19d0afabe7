import { parentPort, workerData } from 'node:worker_threads'
import decodeHeic from 'heic-decode'

/** A worker thread that decodes the one HEIC it was given, posts its RGBA pixels and ends. */
const { width, height, data } = await decodeHeic({ buffer: workerData as Uint8Array })
const pixels = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
parentPort?.postMessage({ width, height, pixels }, [pixels.buffer])
