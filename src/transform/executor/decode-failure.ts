import { AppError } from '../../errors.ts'

const pixelLimit = /pixel limit|too many pixels|dimensions? (are|is) too large|exceed/i
const timeLimit = /timeout/i

/**
 * Turns what libvips, sharp or a decoder threw into a public error without paths or internals. Their messages are the
 * only thing they give us, hence the patterns; whatever is not recognised means that the original cannot be decoded.
 */
export function decodeFailure(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  if (timeLimit.test(message)) return new AppError('render_too_slow', { cause: thrown })
  if (pixelLimit.test(message)) return new AppError('too_many_pixels', { cause: thrown })
  return new AppError('undecodable', {
    detail: 'The image data is damaged or uses an unsupported variant of its format',
    cause: thrown,
  })
}
