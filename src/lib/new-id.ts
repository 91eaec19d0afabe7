import { randomBytes } from 'node:crypto'

// Crockford's: no i, l, o, u, so that ids survive being read out.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** `<kind>_` and 26 base32 characters of 128 random bits and two more. */
export function newId(kind: string): string {
  return `${kind}_${Array.from(randomBytes(26), (byte) => alphabet[byte & 31]).join('')}`
}

/** Whether a string has the form of an id of that kind: what has not needs no look into the database. */
export function isId(kind: string, text: string): boolean {
  return (
    text.length === kind.length + 27 && text.startsWith(`${kind}_`) && /^[0-9a-hjkmnp-tv-z]+$/.test(text.slice(-26))
  )
}
