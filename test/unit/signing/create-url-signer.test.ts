import { expect, test } from 'vitest'
import { createUrlSigner } from '../../../src/signing/create-url-signer.ts'

const native = createUrlSigner({ keys: [{ id: 'k', secret: 'secret' }], imgixTokens: [] })
const imgix = createUrlSigner({ keys: [], imgixTokens: ['token'] })
const both = createUrlSigner({ keys: [{ id: 'k', secret: 'secret' }], imgixTokens: ['token'] })
const neither = createUrlSigner({ keys: [], imgixTokens: [] })

test('each scheme is accepted where it is configured and means nothing where it is not', () => {
  const nativeUrl = native.sign('/a.jpg?w=1', {})
  const imgixUrl = imgix.sign('/a.jpg?w=1', {})
  expect(nativeUrl).toMatch(/&sig=/)
  expect(imgixUrl).toMatch(/&s=/)
  for (const target of [nativeUrl, imgixUrl]) expect(both.verifyTarget(target, 0).kind).toBe('valid')
  expect(native.verifyTarget(imgixUrl, 0).kind).toBe('none')
  expect(imgix.verifyTarget(nativeUrl, 0).kind).toBe('none')
  expect(neither.verifyTarget(nativeUrl, 0).kind).toBe('none')
})

test('a target with both kinds is invalid, whichever stands last', () => {
  const doubled = imgix.sign('/a.jpg', {})
  expect(both.verifyTarget(`${doubled}&sig=${'A'.repeat(43)}`, 0)).toEqual({ kind: 'invalid' })
  expect(both.verifyTarget(`${native.sign('/a.jpg', {})}&s=${'a'.repeat(32)}`, 0)).toEqual({ kind: 'invalid' })
})

test('the native scheme signs unless imgix is asked for, and a stale signature of either kind goes', () => {
  const resigned = both.sign(imgix.sign('/a.jpg?w=1', {}), {})
  expect(resigned).toBe(native.sign('/a.jpg?w=1', {}))
  expect(both.sign(resigned, { scheme: 'imgix' })).toBe(imgix.sign('/a.jpg?w=1', {}))
})

test('signing without a key says which setting is missing', () => {
  expect(() => neither.sign('/a.jpg', {})).toThrow(/HALFTONE_SIGNING_KEYS/)
  expect(() => native.sign('/a.jpg', { scheme: 'imgix' })).toThrow(/HALFTONE_IMGIX_TOKENS/)
})

test('an expired target says by which scheme, for the status differs', () => {
  expect(both.verifyTarget(native.sign('/a.jpg', { expiresAtSeconds: 1 }), 5000)).toEqual({
    kind: 'expired',
    scheme: 'native',
  })
  expect(both.verifyTarget(imgix.sign('/a.jpg', { expiresAtSeconds: 1 }), 5000)).toEqual({
    kind: 'expired',
    scheme: 'imgix',
  })
})
