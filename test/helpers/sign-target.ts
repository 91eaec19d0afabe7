import { createHmac } from 'node:crypto'

export const testSigningKey = 'k1:a-secret-for-tests'

/** A raw target signed natively with `testSigningKey`. */
export function signTarget(target: string): string {
  const secret = testSigningKey.slice(testSigningKey.indexOf(':') + 1)
  const signature = createHmac('sha256', secret).update(target).digest('base64url')
  return `${target}${target.includes('?') ? '&' : '?'}sig=${signature}`
}
