const BASE64URL = /^[A-Za-z0-9_-]*={0,2}$/

/** Text of a `<name>64` parameter: base64url of UTF-8, padding optional. Undefined when malformed. */
export function readBase64(encoded: string): string | undefined {
  const digits = encoded.trim()
  if (!BASE64URL.test(digits) || digits.replace(/=+$/, '').length % 4 === 1) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(digits, 'base64url'))
  } catch {
    return undefined
  }
}
