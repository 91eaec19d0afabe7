import { AppError } from '../../errors.ts'

// The messages of sharp and libvips are the only thing they tell us by.
const pixelLimit =
  /pixel limit|too many pixels|dimensions? (?:are|is) too large|maximum supported image dimension|(?:width|height|size|dimensions?) exceeds/i
const timeLimit = /^\s*timeout:/im
/** sharp was called wrongly, or libvips has no room to work, or cannot open a file of ours: none of it says anything about the original. */
const ownFault =
  /^Expected .+ but received|no space left on device|temporary file|^Input file is missing|unable to open/is
const programmingErrors = [TypeError, RangeError, ReferenceError, SyntaxError]

/**
 * Turns what libvips, sharp or a decoder threw into a public error without paths or internals. What they do not explain
 * means that the original cannot be decoded; such an answer is remembered, so a fault of our own must never become one.
 */
export function decodeFailure(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  if (!(thrown instanceof Error) || isOwnFault(thrown)) return new AppError('internal', { cause: thrown })
  if (timeLimit.test(thrown.message)) return new AppError('render_too_slow', { cause: thrown })
  if (pixelLimit.test(thrown.message)) return new AppError('too_many_pixels', { cause: thrown })
  return new AppError('undecodable', {
    detail: 'The image data is damaged or uses an unsupported variant of its format',
    cause: thrown,
  })
}

/** Errors with a code come from Node and the operating system; sharp's have none. */
function isOwnFault(error: Error): boolean {
  return 'code' in error || programmingErrors.some((kind) => error instanceof kind) || ownFault.test(error.message)
}
