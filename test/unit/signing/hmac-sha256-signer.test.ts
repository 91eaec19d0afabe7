import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHmacSha256Signer } from '../../../src/signing/hmac-sha256-signer.ts'

const first = { id: 'k2', secret: 'new-secret' }
const second = { id: 'k1', secret: 'old-secret' }
const signer = createHmacSha256Signer([first, second])

function sigOf(secret: string, target: string): string {
  return createHmac('sha256', secret).update(target).digest('base64url')
}

describe('sign', () => {
  test.each([
    ['/a.jpg', '/a.jpg', '?'],
    ['/a.jpg?', '/a.jpg', '?'],
    ['/a.jpg?w=100', '/a.jpg?w=100', '&'],
    ['/a.jpg?w=100&sig=stale', '/a.jpg?w=100', '&'],
    ['/a.jpg?sig=stale&w=100', '/a.jpg?w=100', '&'],
    ['/a.jpg?s=stale', '/a.jpg', '?'],
    ['/https%3A%2F%2Fex.com%2Fa.jpg%3Fsig%3D1', '/https%3A%2F%2Fex.com%2Fa.jpg%3Fsig%3D1', '?'],
    ['/https://ex.com/a?b.jpg?w=1', '/https://ex.com/a?b.jpg?w=1', '&'],
  ])('%s signs %s', (target, base, separator) => {
    expect(signer.sign(target, {})).toBe(`${base}${separator}sig=${sigOf('new-secret', base)}`)
  })

  test('is what the openssl line of the contract prints', () => {
    const signed = createHmacSha256Signer([{ id: 'k', secret: 'secret' }]).sign('/a.jpg?w=100&expires=1999999999', {})
    expect(signed).toBe('/a.jpg?w=100&expires=1999999999&sig=69iu2LcenOCSM8_Fo5mpBsjQ3870XMtv-dwY7eioZNU')
  })

  test('puts a new expires in place of the old one', () => {
    expect(signer.sign('/a.jpg?expires=1&w=2', { expiresAtSeconds: 99 })).toMatch(/^\/a\.jpg\?w=2&expires=99&sig=/)
  })

  test('uses the key that the URL names', () => {
    expect(signer.sign('/a.jpg?kid=k1', {})).toBe(`/a.jpg?kid=k1&sig=${sigOf('old-secret', '/a.jpg?kid=k1')}`)
    expect(() => signer.sign('/a.jpg?kid=k9', {})).toThrow(/kid/)
  })

  test.each(['', 'a.jpg', '/a b.jpg', '/ü.jpg', '/a.jpg#top', 'https://host/a.jpg', '/a\n.jpg'])(
    'refuses %j',
    (target) => {
      expect(() => signer.sign(target, {})).toThrow(/percent-encode/)
    },
  )

  test.each([-1, 1.5, Number.NaN, 1e12])('refuses to expire at %d', (expiresAtSeconds) => {
    expect(() => signer.sign('/a.jpg', { expiresAtSeconds })).toThrow(/expires/)
  })
})

describe('verify', () => {
  test('accepts every key, so that keys can rotate', () => {
    for (const key of [first, second]) {
      const signed = createHmacSha256Signer([key]).sign('/a.jpg?w=1', {})
      expect(signer.verify(signed, 0)).toEqual({ kind: 'valid', target: '/a.jpg?w=1', expiresAtSeconds: undefined })
    }
    expect(createHmacSha256Signer([first]).verify(createHmacSha256Signer([second]).sign('/a.jpg', {}), 0).kind).toBe(
      'invalid',
    )
  })

  test('kid binds the URL to one key', () => {
    const base = '/a.jpg?kid=k2'
    expect(signer.verify(`${base}&sig=${sigOf('new-secret', base)}`, 0).kind).toBe('valid')
    expect(signer.verify(`${base}&sig=${sigOf('old-secret', base)}`, 0).kind).toBe('invalid')
    const unknown = '/a.jpg?kid=k9'
    expect(signer.verify(`${unknown}&sig=${sigOf('new-secret', unknown)}`, 0).kind).toBe('invalid')
    const twice = '/a.jpg?kid=k2&kid=k2'
    expect(signer.verify(`${twice}&sig=${sigOf('new-secret', twice)}`, 0).kind).toBe('invalid')
  })

  test('ends at expires, to the second', () => {
    const signed = signer.sign('/a.jpg', { expiresAtSeconds: 1000 })
    expect(signer.verify(signed, 999_999)).toMatchObject({ kind: 'valid', expiresAtSeconds: 1000 })
    expect(signer.verify(signed, 1_000_000)).toEqual({ kind: 'expired', scheme: 'native' })
  })

  test.each(['expires=', 'expires=soon', 'expires=1e9', 'expires=-1', 'expires=1&expires=9999999999', '%65xpires=x'])(
    'a signed %s is invalid rather than endless',
    (query) => {
      const base = `/a.jpg?${query}`
      expect(signer.verify(`${base}&sig=${sigOf('new-secret', base)}`, 0)).toEqual({ kind: 'invalid' })
    },
  )

  const signed = signer.sign('/a.jpg?w=100', {})
  const sig = signed.split('sig=')[1] ?? ''
  test.each([
    ['a parameter after it', `${signed}&w=9999`],
    ['an empty parameter after it', `${signed}&`],
    ['a second one after it', `${signed}&sig=${sig}`],
    ['a second, self-made one', `${signed}&w=9999&sig=${sig}`],
    ['one before it', `/a.jpg?sig=${sig}&w=100&sig=${sig}`],
    ['a name without value', '/a.jpg?sig'],
    ['no value', '/a.jpg?sig='],
    ['padding', `${signed}=`],
    ['another encoding of the same bytes', signed.slice(0, -1) + sameBytes(sig.at(-1) ?? '')],
    ['percent-encoding in it', signed.replace(sig, `%${sig.charCodeAt(0).toString(16)}${sig.slice(1)}`)],
    ['something raw that no target can hold', signed.replace('/a', '/ä')],
  ])('%s makes it invalid', (_name, target) => {
    expect(signer.verify(target, 0)).toEqual({ kind: 'invalid' })
  })

  test.each([
    '/a.jpg',
    '/a.jpg?w=1',
    '/sig=x',
    '/a&sig=x',
    '/a.jpg?%73ig=x',
    '/a.jpg?SIG=x',
    '/a.jpg?w=1?sig=x',
    '/a%3Fsig=x',
  ])('%s carries no signature', (target) => {
    expect(signer.verify(target, 0)).toEqual({ kind: 'none' })
  })
})

const targets = fc
  .tuple(
    fc.array(fc.stringMatching(/^[a-zA-Z0-9._~%-]{1,12}$/), { minLength: 1, maxLength: 4 }),
    fc.array(fc.stringMatching(/^[a-z]{1,5}=[a-zA-Z0-9.,%-]{0,8}$/), { maxLength: 4 }),
  )
  .map(([segments, params]) => `/${segments.join('/')}${params.length > 0 ? `?${params.join('&')}` : ''}`)
  .filter((target) => !/[?&](kid|expires|sig|s)=/.test(target))

test('what was signed verifies, and any single changed, added or missing character does not', () => {
  fc.assert(
    fc.property(targets, fc.nat(), fc.integer({ min: 0x21, max: 0x7e }), fc.nat(2), (target, at, code, kind) => {
      const signed = signer.sign(target, {})
      expect(signer.verify(signed, 0)).toMatchObject({ kind: 'valid', target })
      const position = at % signed.length
      const put = kind === 0 ? '' : String.fromCharCode(code)
      const changed = signed.slice(0, position) + put + signed.slice(kind === 1 ? position : position + 1)
      if (changed !== signed) expect(signer.verify(changed, 0).kind).not.toBe('valid')
    }),
    { numRuns: 3000 },
  )
})

/** The last character of 43 carries two spare bits: its neighbour decodes to the same digest. */
function sameBytes(character: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet.charAt(alphabet.indexOf(character) ^ 1)
}
