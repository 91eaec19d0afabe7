import { describe, expect, test } from 'vitest'
import {
  corsJson,
  corsRuleFor,
  corsXml,
  missingInCors,
  type CorsRule,
} from '../../../../src/uploads/targets/bucket-cors.ts'

const origins = ['https://app.example']
const withForms = { presignedPost: true, parts: true, checksums: true }
const withoutForms = { ...withForms, presignedPost: false }
const rule = corsRuleFor({ capabilities: withoutForms }, origins)
const missing = (rules: readonly CorsRule[], capabilities = withoutForms) =>
  missingInCors(rules, { capabilities, origins })

describe('the CORS rule of a bucket', () => {
  test('has what a signed PUT sends, and POST only where there are forms', () => {
    expect(rule).toEqual({
      AllowedOrigins: origins,
      AllowedMethods: ['PUT'],
      AllowedHeaders: ['content-type', 'if-none-match', 'x-amz-checksum-sha256'],
      ExposeHeaders: ['ETag'],
      MaxAgeSeconds: 3600,
    })
    expect(corsRuleFor({ capabilities: withForms }, origins).AllowedMethods).toEqual(['PUT', 'POST'])
    expect(JSON.parse(corsJson(rule))).toEqual({ CORSRules: [rule] })
  })

  test('as XML, with what could be taken for markup escaped', () => {
    expect(corsXml({ ...rule, AllowedOrigins: ['https://a&b<c>'], MaxAgeSeconds: 5 })).toBe(
      [
        '<CORSConfiguration>',
        '  <CORSRule>',
        '    <AllowedOrigin>https://a&amp;b&lt;c&gt;</AllowedOrigin>',
        '    <AllowedMethod>PUT</AllowedMethod>',
        '    <AllowedHeader>content-type</AllowedHeader>',
        '    <AllowedHeader>if-none-match</AllowedHeader>',
        '    <AllowedHeader>x-amz-checksum-sha256</AllowedHeader>',
        '    <ExposeHeader>ETag</ExposeHeader>',
        '    <MaxAgeSeconds>5</MaxAgeSeconds>',
        '  </CORSRule>',
        '</CORSConfiguration>',
        '',
      ].join('\n'),
    )
  })

  test.each([
    ['the rule itself', [rule], []],
    ['stars', [{ ...rule, AllowedOrigins: ['*'], AllowedHeaders: ['*'], ExposeHeaders: ['etag'] }], []],
    [
      'patterns',
      [{ ...rule, AllowedOrigins: ['https://*.example'], AllowedHeaders: ['Content-*', 'if-*', 'x-amz-*'] }],
      [],
    ],
    ['nothing', [], ['No rule allows PUT from https://app.example.']],
    [
      'another origin',
      [{ ...rule, AllowedOrigins: ['https://app.example.org'] }],
      ['No rule allows PUT from https://app.example.'],
    ],
    ['another method', [{ ...rule, AllowedMethods: ['GET'] }], ['No rule allows PUT from https://app.example.']],
    [
      'fewer headers',
      [{ ...rule, AllowedHeaders: ['content-type'] }],
      ['PUT from https://app.example may not send if-none-match, x-amz-checksum-sha256.'],
    ],
    [
      'headers spread over two rules, of which one is applied',
      [
        { ...rule, AllowedHeaders: ['content-type'] },
        { ...rule, AllowedHeaders: ['content-type', 'if-none-match'] },
      ],
      ['PUT from https://app.example may not send x-amz-checksum-sha256.'],
    ],
    ['a better rule later', [{ ...rule, AllowedHeaders: [] }, rule], []],
    ['no ETag', [{ ...rule, ExposeHeaders: [] }], ['https://app.example may not read ETag of the answer to PUT.']],
  ])('%s', (_what, rules, faults) => {
    expect(missing(rules)).toEqual(faults)
  })

  test('forms need no leave for headers', () => {
    const forms = { ...rule, AllowedMethods: ['POST'], AllowedHeaders: [] }
    expect(missing([rule, forms], withForms)).toEqual([])
    expect(missing([rule], withForms)).toEqual(['No rule allows POST from https://app.example.'])
  })
})
