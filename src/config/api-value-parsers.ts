import { isIP } from 'node:net'
import { isAddressBlock, listOf, webOrigin } from './value-parsers.ts'
import type { ValueParser } from './value-parsers.ts'

/** `name:secret` pairs; the secrets are long enough that nobody guesses one over the network. */
export function apiKeyList(): ValueParser<readonly { readonly name: string; readonly secret: string }[]> {
  return {
    expected:
      'name:secret pairs separated by commas; a name is 1 to 64 letters, digits, - or _, a secret 16 or more characters without blanks, and none is there twice',
    parse: (text) => {
      const pairs = text.split(',').map((pair) => /^\s*([A-Za-z0-9_-]{1,64}):([!-~]{16,512})\s*$/.exec(pair))
      const keys = pairs.flatMap((match) => (match?.[1] && match[2] ? [{ name: match[1], secret: match[2] }] : []))
      const areDistinct = [keys.map((key) => key.name), keys.map((key) => key.secret)].every(
        (values) => new Set(values).size === keys.length,
      )
      return keys.length === pairs.length && areDistinct ? keys : undefined
    },
  }
}

/** Blocks of proxies. Believing everybody would be no limit at all. */
export function proxyBlocks(): ValueParser<readonly string[]> {
  return {
    expected:
      'addresses or CIDR blocks separated by commas, such as 10.0.0.0/8,192.168.1.7,fd12::/16, and not all (/0)',
    parse: (text) => listOf(text, (item) => isAddressBlock(item) && !/\/0+$/.test(item)),
  }
}

/** Keys that anybody on the way could swap are no keys: only a loopback address may be asked in the clear. */
export function jwksUrl(): ValueParser<string> {
  return {
    expected: 'an https URL without credentials (http only on a loopback address)',
    parse: (text) => {
      const url = plainUrl(text)
      const isSafe = url?.protocol === 'https:' || (url !== undefined && isLoopback(url.hostname))
      return isSafe ? text : undefined
    },
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'))
}

/** JWS algorithms by the kind of key they take; `none` is in no list. */
export const jwtAlgorithmKinds = {
  secret: ['HS256', 'HS384', 'HS512'],
  jwks: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
} as const

export function jwtAlgorithms(): ValueParser<readonly string[]> {
  const known: readonly string[] = [...jwtAlgorithmKinds.secret, ...jwtAlgorithmKinds.jwks]
  return {
    expected: `algorithms separated by commas, of ${known.join(', ')}`,
    parse: (text) => listOf(text, (item) => known.includes(item)),
  }
}

/** `*`, or origins of pages. */
export function pageOrigins(): ValueParser<readonly string[]> {
  const origin = webOrigin()
  return {
    expected: '* or origins separated by commas, such as https://app.example.com, without paths',
    parse: (text) => {
      if (text === '*') return ['*']
      const origins = text.split(',').map((item) => origin.parse(item.trim()))
      const found = origins.filter((one) => one !== undefined)
      return found.length === origins.length && found.length <= 1000 ? found : undefined
    },
  }
}

export type UploadTargetSetting =
  | { readonly kind: 'off' }
  | { readonly kind: 'disk' }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string }

export function uploadTarget(): ValueParser<UploadTargetSetting> {
  return {
    expected: 'disk, s3://bucket[/prefix] or off',
    parse: (text) => {
      if (text === 'off' || text === 'disk') return { kind: text }
      const [, bucket, prefix = ''] = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,254})(\/[^?#\s]{0,900})?$/.exec(text) ?? []
      return bucket === undefined ? undefined : { kind: 's3', bucket, prefix: prefix.replace(/^\/+|\/+$/g, '') }
    },
  }
}

/** Content types that can be decoded. */
export const uploadableTypes: readonly string[] = [
  'image/jpeg',
  'image/png',
  'image/webp',
  'image/avif',
  'image/gif',
  'image/heic',
  'image/heif',
  'image/tiff',
  'image/svg+xml',
]

export function uploadTypes(): ValueParser<readonly string[]> {
  return {
    expected: `content types separated by commas, of ${uploadableTypes.join(', ')}`,
    parse: (text) => {
      const types = listOf(text.toLowerCase(), (item) => uploadableTypes.includes(item))
      return types && [...new Set(types)]
    },
  }
}

export function webhookUrl(): ValueParser<string> {
  return {
    expected: 'an http or https URL without credentials and fragment',
    parse: (text) => (plainUrl(text) === undefined ? undefined : text),
  }
}

/** As Standard Webhooks write it. */
export function webhookSecret(): ValueParser<string> {
  return {
    expected: 'whsec_ and 24 to 64 random bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes it',
    parse: (text) => (isWebhookSecret(text) ? text : undefined),
  }
}

export function isWebhookSecret(text: string): boolean {
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1]
  const { length } = Buffer.from(encoded ?? '', 'base64')
  return length >= 24 && length <= 64
}

/** Undefined unless the text is an http(s) URL without credentials, fragment and blanks. */
export function plainUrl(text: string): URL | undefined {
  const url = /^[!-~]{1,2000}$/.test(text) && URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
  return isPlain && !text.includes('#') ? url : undefined
}

export function hostAndPort(): ValueParser<{ readonly host: string; readonly port: number }> {
  return {
    expected: 'host:port, such as clamav:3310',
    parse: (text) => {
      const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text)
      const host = match?.[1] ?? match?.[2]
      const port = Number(match?.[3])
      return host !== undefined && port >= 1 && port <= 65535 ? { host, port } : undefined
    },
  }
}
