export type Fault = {
  /** undefined: every method. */
  readonly method?: string
  readonly path: RegExp
  /** How many of the matching requests it hits; the first ones. */
  readonly times: number
  /** In place of the answer; `lost`: the request arrives, its answer does not. */
  readonly answer: Response | 'lost' | 'unreachable'
}

/** `fetch` that goes to the real thing but for some faults, and remembers what it was asked. */
export function faultFetch(faults: readonly Fault[], change: (request: Request) => Request = (request) => request) {
  const left: { -readonly [key in keyof Fault]: Fault[key] }[] = faults.map((fault) => ({ ...fault }))
  const seen: Request[] = []
  const send: typeof fetch = async (input, init) => {
    const request = change(new Request(input, init))
    seen.push(request.clone())
    const { pathname } = new URL(request.url)
    const fault = left.find(
      (one) => one.times > 0 && (one.method ?? request.method) === request.method && one.path.test(pathname),
    )
    if (!fault) return fetch(request)
    fault.times -= 1
    if (fault.answer === 'lost') await (await fetch(request)).text()
    if (typeof fault.answer === 'string') throw new TypeError('fetch failed')
    return fault.answer.clone()
  }
  const requests = (method: string, path: RegExp) =>
    seen.filter((request) => request.method === method && path.test(new URL(request.url).pathname))
  return { fetch: send, requests, told: () => seen.map((one) => `${one.method} ${new URL(one.url).pathname}`) }
}
