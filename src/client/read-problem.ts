import { HalftoneError } from './halftone-error.ts'

/** From a problem document (RFC 9457), or, from whatever a store or a proxy says in its place, by the status. */
export function readProblem(
  { status, text, requestId }: { readonly status: number; readonly text: string; readonly requestId?: string | null },
  otherwise: { readonly code: string; readonly detail?: string },
): HalftoneError {
  let problem: { code?: string; title?: string; detail?: string; requestId?: string } = {}
  try {
    problem = (JSON.parse(text) as typeof problem | null) ?? {}
  } catch {
    // The status says enough.
  }
  return new HalftoneError(problem.code ?? otherwise.code, {
    status,
    detail: problem.detail ?? problem.title ?? otherwise.detail,
    requestId: problem.requestId ?? requestId ?? undefined,
  })
}
