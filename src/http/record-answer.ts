import { loggedPath } from '../delivery/image-answer.ts'
import type { LineWriter, Logger } from '../observability/create-logger.ts'
import type { Metrics } from '../observability/metrics.ts'
import type { AnsweredRequest } from './create-server.ts'
import type { ApiAnswered } from './middleware/record-api.ts'
import type { HotServed } from './serve-hit.ts'

/** As `recordAnswer`, for the hot lane: the same line, of which all but three members is ready. */
export function recordHot(served: HotServed, logger: Logger & LineWriter, metrics: Metrics): void {
  const { requestId, method, answer, status, outcome, bytes, seconds } = served
  metrics.request({ status, outcome, seconds, bytes })
  if (!logger.writesInfo) return
  // Ids are of letters, digits and `_.:-`, methods GET or HEAD: nothing here needs escaping.
  const members =
    outcome === 'memory' && method === 'GET'
      ? answer.hitJson
      : `"method":"${method}","status":${status},"bytes":${bytes},${answer.factsJson},"outcome":"${outcome}"`
  logger.writeInfo(`"event":"request","requestId":"${requestId}","ms":${millisecondsText(seconds)},${members}`)
}

// Every number that was made a text costs as much as the rest of a line, and hits take few different times.
const shortTimes = Array.from({ length: 1000 }, (_, hundredths) => String(hundredths / 100))

/** To the hundredth of a millisecond. */
function millisecondsText(seconds: number): string {
  const hundredths = Math.round(seconds * 100_000)
  return shortTimes[hundredths] ?? String(hundredths / 100)
}

/** The one log line of a request, and its metrics. The query is left out: it may carry a signature. */
export function recordAnswer(
  { raw, answer, seconds, aborted }: AnsweredRequest,
  logger: Logger,
  metrics: Metrics,
): void {
  const bytes = raw.method === 'HEAD' ? 0 : (answer.body?.length ?? 0)
  metrics.request({ status: answer.status, outcome: answer.facts.outcome, seconds, bytes })
  logger.info('request', {
    requestId: raw.id,
    method: raw.method,
    path: loggedPath(raw.target),
    status: answer.status,
    bytes,
    ms: Math.round(seconds * 10_000) / 10,
    ...answer.facts,
    ...(aborted ? { aborted } : {}),
  })
}

/** The one log line of a request of the upload API, and its metrics. */
export function recordApiAnswer(answered: ApiAnswered, logger: Logger, metrics: Metrics): void {
  const { route, seconds, caller, aborted, ...facts } = answered
  metrics.apiRequest({ route, method: answered.method, status: answered.status, seconds })
  logger.info('api_request', {
    ...facts,
    ms: Math.round(seconds * 10_000) / 10,
    ...(caller === undefined ? {} : { caller }),
    ...(aborted ? { aborted } : {}),
  })
}
