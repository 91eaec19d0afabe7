import autocannon from 'autocannon'

/** One run of autocannon, in a process that can be pinned to a core. Takes a JSON job, prints a JSON line. */
type Job = {
  readonly url: string
  readonly targets: readonly string[]
  readonly seconds: number
  readonly connections: number
  readonly rate: number | null
  readonly headers: Readonly<Record<string, string>>
  readonly presigns: boolean
}

const job = JSON.parse(process.argv[2] ?? '') as Job
const result = await autocannon({
  url: job.url,
  connections: job.connections,
  duration: job.seconds,
  headers: job.headers,
  requests: job.targets.map((path) => (job.presigns ? presignAt(path) : { method: 'GET' as const, path })),
  // At a fixed rate latencies count from when a request was due, so that a stalled server is not spared the queue behind it.
  ...(job.rate === null ? {} : { overallRate: job.rate }),
})
/** Each request is for a file of its own. */
function presignAt(path: string): autocannon.Request {
  let asked = 0
  return {
    ...{ method: 'POST', path },
    setupRequest(request) {
      asked += 1
      const intent = { filename: `photo-${asked}.jpg`, size: 2_000_000 + asked, type: 'image/jpeg' }
      return { ...request, body: JSON.stringify({ ...intent, metadata: { album: `a-${asked % 100}` } }) }
    },
  }
}

const answer = {
  requests: result.requests.total,
  seconds: result.duration,
  failures: result.errors + result.timeouts + result.non2xx,
  p50Ms: result.latency.p50,
  p99Ms: result.latency.p99,
}
process.stdout.write(`\n${JSON.stringify(answer)}\n`)
