import { HalftoneError } from './halftone-error.ts'
import type { SignedRequest } from './image-document.ts'
import { readProblem } from './read-problem.ts'
import { isPassing, secondsOf, withRetries, type RetryPolicy } from './retry.ts'

export type SendOptions = RetryPolicy & { readonly fetch: typeof fetch }

type Answer = { readonly status: number; readonly text: string; readonly retryAfter: string | null }
type Send = {
  readonly request: SignedRequest
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Blob | FormData
  readonly onLoaded: (loaded: number) => void
}

/** Of XMLHttpRequest what is used here; this module is also for places that have none. */
type BytesRequest = {
  readonly upload: { onprogress: ((event: { loaded: number }) => void) | null }
  readonly status: number
  readonly responseText: string
  onload: (() => void) | null
  onerror: (() => void) | null
  onabort: (() => void) | null
  open(method: string, url: string): void
  setRequestHeader(name: string, value: string): void
  getResponseHeader(name: string): string | null
  send(body: Blob | FormData): void
  abort(): void
}

// A line that has moved no byte for so long will not come back by itself.
const stallMs = 60_000

/** Set by whoever sends, and forbidden to scripts. */
const forbidden = ['content-length', 'host']

/**
 * Sends bytes as they were signed for; repeats it when the line or the store fails. Throws `network`; what the store says or
 * `store_refused`, with the status: 403 where the permission is not good any more.
 */
export async function sendBytes(
  request: SignedRequest,
  bytes: Blob,
  options: SendOptions,
  { signal, onLoaded }: { readonly signal: AbortSignal; readonly onLoaded: (loaded: number) => void },
): Promise<void> {
  const headers = Object.entries(request.headers).filter(([name]) => !forbidden.includes(name.toLowerCase()))
  const body = request.fields ? formOf(request.fields, bytes) : bytes
  // What goes over the line may be more than the file: forms have fields.
  const send: Send = { request, headers, body, onLoaded: (loaded) => onLoaded(Math.min(loaded, bytes.size)) }
  await withRetries(
    async () => {
      const answer = await ('XMLHttpRequest' in globalThis
        ? sendByXhr(send, signal)
        : sendByFetch(send, options.fetch, signal))
      const { status } = answer
      // 412: a try whose answer was lost has put them there. Confirming tells whether they are the right ones.
      if ((status >= 200 && status < 300) || status === 412) return { done: undefined }
      const failed = failureOf(answer)
      // 409: two writes at once, as S3 tells it.
      if (!isPassing(status) && status !== 409) throw failed
      return { failed, retryAfterSeconds: secondsOf(answer.retryAfter) }
    },
    options,
    signal,
  )
  onLoaded(bytes.size)
}

function failureOf({ status, text }: Answer): HalftoneError {
  if (status === 0) return new HalftoneError('network', { detail: 'The store of uploads cannot be reached.' })
  const detail = `The store of uploads did not take the bytes (${status}).`
  return readProblem({ status, text }, { code: 'store_refused', detail })
}

function formOf(fields: Readonly<Record<string, string>>, bytes: Blob): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  // Last: S3 reads no field after it.
  form.append('file', bytes)
  return form
}

/** The only way that tells how far it is. Status 0: no answer. */
function sendByXhr({ request, headers, body, onLoaded }: Send, signal: AbortSignal): Promise<Answer> {
  const { XMLHttpRequest: Xhr } = globalThis as unknown as { XMLHttpRequest: new () => BytesRequest }
  const xhr = new Xhr()
  const stop = () => xhr.abort()
  let stalled: ReturnType<typeof setTimeout> | undefined
  const watch = () => {
    clearTimeout(stalled)
    stalled = setTimeout(stop, stallMs)
  }
  return new Promise<Answer>((resolve) => {
    const settle = () => {
      const { status, responseText: text } = xhr
      resolve({ status, text, retryAfter: status === 0 ? null : xhr.getResponseHeader('retry-after') })
    }
    // Status 0 where there is no answer.
    xhr.onload = xhr.onerror = xhr.onabort = settle
    xhr.upload.onprogress = ({ loaded }) => {
      watch()
      onLoaded(loaded)
    }
    signal.addEventListener('abort', stop)
    xhr.open(request.method, request.url)
    for (const [name, value] of headers) xhr.setRequestHeader(name, value)
    watch()
    xhr.send(body)
  }).finally(() => {
    clearTimeout(stalled)
    signal.removeEventListener('abort', stop)
  })
}

async function sendByFetch({ request, headers, body }: Send, send: typeof fetch, signal: AbortSignal): Promise<Answer> {
  try {
    const { method, url } = request
    const response = await send(url, { method, headers: Object.fromEntries(headers), body, signal })
    return { status: response.status, text: await response.text(), retryAfter: response.headers.get('retry-after') }
  } catch {
    return { status: 0, text: '', retryAfter: null }
  }
}
