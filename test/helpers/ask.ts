import type { RunningHalftone } from './start-halftone.ts'

/** Status and problem code of an answer; the body is read to its end. */
export async function ask(
  halftone: Pick<RunningHalftone, 'get'>,
  target: string,
  headers: Record<string, string> = {},
) {
  const response = await halftone.get(target, headers)
  const body = Buffer.from(await response.arrayBuffer())
  const isProblem = response.headers.get('content-type') === 'application/problem+json'
  const problem = isProblem ? (JSON.parse(body.toString()) as { code: string; detail?: string }) : undefined
  return { status: response.status, code: problem?.code, detail: problem?.detail, headers: response.headers, body }
}
