import { createHash, randomBytes } from 'node:crypto'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** `hk_` and 260 random bits in base32, so that secret scanners can find a leaked one. */
export function newApiKeySecret(random: Buffer = randomBytes(52)): string {
  return `hk_${Array.from(random, (byte) => alphabet[byte & 31]).join('')}`
}

export function isApiKeySecret(text: string): boolean {
  return /^hk_[a-z2-7]{26,104}$/.test(text)
}

/** Hex SHA-256, which is all that is kept: 256 random bits need no slow hash. */
export function apiKeyHash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
