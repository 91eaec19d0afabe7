import { HalftoneError } from './halftone-error.ts'
import { readProblem } from './read-problem.ts'
import { isPassing, secondsOf, withRetries, type Attempt, type RetryPolicy } from './retry.ts'

export type ApiOptions = RetryPolicy & {
  readonly baseUrl: string
  readonly token: string | (() => string | Promise<string>) | undefined
  readonly fetch: typeof fetch
}

export type ApiRequest = {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Below the base URL. */
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** In place of the client's own. */
  readonly token?: string | undefined
}

// Above what the server waits for by `Prefer: wait`; what takes longer has lost its connection.
const patienceMs = 90_000

/** The answer's JSON. Repeats what may be repeated: every request of an upload is idempotent, the first by its key. */
export function callApi<T>(request: ApiRequest, options: ApiOptions, signal: AbortSignal): Promise<T> {
  return withRetries(() => callOnce<T>(request, options, signal), options, signal)
}

async function callOnce<T>(request: ApiRequest, options: ApiOptions, signal: AbortSignal): Promise<Attempt<T>> {
  const { method, path, body, headers } = request
  const { token } = options
  const bearer = request.token ?? (typeof token === 'function' ? await token() : token)
  try {
    const response = await options.fetch(options.baseUrl + path, {
      method,
      headers: {
        ...headers,
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
    })
    const text = await response.text()
    if (response.ok) return { done: (text === '' ? undefined : JSON.parse(text)) as T }
    const { status, headers: answered } = response
    const failed = readProblem({ status, text, requestId: answered.get('x-request-id') }, { code: `http_${status}` })
    if (!mayRepeat(failed)) throw failed
    return { failed, retryAfterSeconds: secondsOf(answered.get('retry-after')) }
  } catch (cause) {
    if (cause instanceof HalftoneError) throw cause
    return { failed: new HalftoneError('network', { detail: 'The server cannot be reached.', cause }) }
  }
}

/** `not_uploaded`: some stores take a moment to show what they have. */
function mayRepeat({ status, code }: HalftoneError): boolean {
  return code === 'not_uploaded' || (isPassing(status) && code !== 'processing_failed')
}
