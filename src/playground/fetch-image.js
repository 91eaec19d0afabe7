/* global fetch, performance, Image */

/** What an image answer says about itself, with an object URL of its bytes; or the problem it came with. */
export async function fetchImage(url, { accept, signal }) {
  const startedMs = performance.now()
  // The browser's own cache would hide what the server does; the answer's Cache-Status tells about the server's.
  const response = await fetch(url, { headers: { Accept: accept }, cache: 'no-store', signal })
  const blob = await response.blob()
  const facts = {
    url,
    status: response.status,
    statusText: response.statusText,
    bytes: blob.size,
    type: (response.headers.get('content-type') ?? '').split(';')[0],
    ms: performance.now() - startedMs,
    headers: response.headers,
  }
  if (!response.ok || !facts.type.startsWith('image/')) return { ...facts, problem: await readProblem(blob, facts) }
  const objectUrl = URL.createObjectURL(blob)
  return { ...facts, objectUrl, size: await sizeOf(objectUrl) }
}

async function readProblem(blob, { type, status, statusText }) {
  const text = await blob.text()
  if (type !== 'application/problem+json')
    return { status, title: statusText || `Status ${status}`, detail: text.slice(0, 400) }
  return JSON.parse(text)
}

async function sizeOf(objectUrl) {
  const image = new Image()
  image.src = objectUrl
  try {
    await image.decode()
  } catch {
    return undefined
  }
  return { width: image.naturalWidth, height: image.naturalHeight }
}

export function formatBytes(bytes) {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`
}

export const formatMs = (ms) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`

export const formatName = (type) => type.replace('image/', '').replace('svg+xml', 'svg').toUpperCase()
