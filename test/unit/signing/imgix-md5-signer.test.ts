import imgixModule from '@imgix/js-core'
import { describe, expect, test } from 'vitest'
import { createImgixMd5Signer } from '../../../src/signing/imgix-md5-signer.ts'

// The package declares an ES default export but is seen as CommonJS by the type checker.
const ImgixClient = imgixModule as unknown as typeof imgixModule.default

const token = 'FOO123bar'
const signer = createImgixMd5Signer([token])
const before2030 = Date.UTC(2026, 0, 1)

const vectors = [
  ['V1', '/users/1.png', '6797c24146142d5b40bde3141fd3600c'],
  ['V2', '/users/1.png?w=400&h=300', 'c7b86f666a832434dd38577e38cf86d1'],
  ["V2'", '/users/1.png?h=300&w=400', '1a4e48641614d1109c6a7af51be23d18'],
  ['V3', '/http%3A%2F%2Favatars.com%2Fjohn-smith.png', '493a52f008c91416351f8b33d4883135'],
  ['V4', '/http%3A%2F%2Favatars.com%2Fjohn-smith.png?w=400&h=300', '61ea1cc7add87653bb0695fe25f2b534'],
  [
    'V5',
    '/https%3A%2F%2Fex.com%2Fa%20b%2Fc%2520d.jpg%3Fv%3D1%26x%3D%C3%A9?auto=format%2Ccompress&w=400',
    'ee2a49bbc582fdf3b30e581139dcd218',
  ],
  [
    'V6',
    "/im%20ages/%C3%BC%2Ba%3Ab%3Fc%23d&e=f,'(x)!.jpg?txt64=SSBjYW5uw7h0IGJlbMOuw6l24oiRIGl0IHdvcnMhIPCfmLE&txt=a%20b%26c",
    '81bf05c57b409d1b9953fafc9ef09f7f',
  ],
  ['V7', '/users/1.png?ixlib=js-3.8.0&w=400', 'f8ae38c5032a6657a0c3b4db897b8e6f'],
  ['V8', '/users/1.png?expires=1893456000', '5886900700789e8068f7be103d77ff2c'],
  [
    'V9',
    '/users/1.png?mark64=aHR0cHM6Ly9hc3NldHMuaW1naXgubmV0L2xvZ28ucG5nP3c9MTYw&mark-align=bottom%2Cright',
    '0946ef7c0da41b181accdff9ffa4d35f',
  ],
  ['V10', '/file+with%20some+crazy?things.jpg?w=1', 'c5c6211224ef8277a23aa81ae433e4a5'],
] as const

describe('the published vectors', () => {
  test.each(vectors)('%s %s', (_name, target, s) => {
    const signed = `${target}${target.includes('?') ? '&' : '?'}s=${s}`
    expect(signer.sign(target, {})).toBe(signed)
    expect(signer.verify(signed, before2030)).toMatchObject({ kind: 'valid', target })
  })
})

describe('what imgix asks of a server', () => {
  test('every URL of the official client is accepted, with any token that is alive', () => {
    const client = new ImgixClient({ domain: 'img.example.com', secureURLToken: 'old-token' })
    const url = client.buildURL('/photos/ü b.jpg', { w: 400, auto: 'format,compress', txt: "it's" })
    const target = url.replace('https://img.example.com', '')
    expect(createImgixMd5Signer(['new-token', 'old-token']).verify(target, 0).kind).toBe('valid')
    expect(createImgixMd5Signer(['new-token']).verify(target, 0)).toEqual({ kind: 'invalid' })
  })

  test('expires is read only after the signature was found right', () => {
    const signed = signer.sign('/a.jpg', { expiresAtSeconds: 1000 })
    expect(signer.verify(signed, 999_999)).toEqual({
      kind: 'valid',
      target: '/a.jpg?expires=1000',
      expiresAtSeconds: 1000,
    })
    expect(signer.verify(signed, 1_000_000)).toEqual({ kind: 'expired', scheme: 'imgix' })
    expect(signer.verify(signed.replace('1000', '1001'), 2_000_000)).toEqual({ kind: 'invalid' })
  })

  test.each([
    ['upper-case hex', (signed: string) => signed.toUpperCase().replace('/A.JPG', '/a.jpg').replace('S=', 's=')],
    ['cut short', (signed: string) => signed.slice(0, -1)],
    ['empty', (signed: string) => signed.slice(0, -32)],
    ['without a value', () => '/a.jpg?s'],
    ['followed by a parameter', (signed: string) => `${signed}&w=9999`],
    ['twice', (signed: string) => `${signed}&${signed.split('?')[1] ?? ''}`],
  ])('a signature that is %s is invalid', (_name, change) => {
    expect(signer.verify(change(signer.sign('/a.jpg', {})), 0)).toEqual({ kind: 'invalid' })
  })

  test('a target without s carries no signature', () => {
    expect(signer.verify('/a.jpg?w=1&sig=x', 0)).toEqual({ kind: 'none' })
    expect(signer.verify('/a&s=6797c24146142d5b40bde3141fd3600c', 0)).toEqual({ kind: 'none' })
  })
})
