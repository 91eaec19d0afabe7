/** Parameters of the URL whose files the driver reads before it connects. */
const fileParameters = ['sslrootcert', 'sslcert', 'sslkey'] as const

const ownCa = 'Name the certificate of its CA: sslrootcert=/path/to/ca.crt behind the ? of the URL'

/** By code of Node's TLS: why a certificate is not believed, and what to do. */
const distrusted: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: ownCa,
  SELF_SIGNED_CERT_IN_CHAIN: ownCa,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ownCa,
  UNABLE_TO_GET_ISSUER_CERT: ownCa,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ownCa,
  CERT_SIGNATURE_FAILURE: ownCa,
  CERT_HAS_EXPIRED: 'Renew the certificate of the server, or that of sslrootcert',
  CERT_NOT_YET_VALID: 'Correct the clock of this machine, or the certificate of the server',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Write the host of the URL as the certificate names it',
}

/** What is wrong with TLS on the way to the database; undefined when it is something else. */
export function tlsFault(cause: unknown, url: string): string | undefined {
  if (!(cause instanceof Error)) return undefined
  const code = 'code' in cause ? String(cause.code) : ''
  const mend = distrusted[code]
  // Node adds a flag of its own, which is of no use here.
  const said = cause.message.replace(/; if the root CA.*$/, '').replace(/\.$/, '')
  if (mend !== undefined) return `TLS: the certificate of the server is not trusted (${said}). ${mend}`
  return unreadableFile(cause, url) ?? refusedTls(said) ?? unusableKeys(said, code)
}

function unreadableFile(cause: Error, url: string): string | undefined {
  // A Unix socket that is not there fails with the same code, at connecting.
  if (!('syscall' in cause) || !['open', 'read'].includes(String(cause.syscall))) return undefined
  const { searchParams } = new URL(url)
  const path = 'path' in cause ? cause.path : undefined
  const named = fileParameters.filter((name) => searchParams.has(name))
  const guilty = named.filter((name) => searchParams.get(name) === path)
  const names = (guilty.length > 0 ? guilty : named).join(', ')
  return `the file of ${names} cannot be read (${cause.message}). Correct the path, or let this user read it`
}

/** The driver has no codes for these. */
function refusedTls(said: string): string | undefined {
  if (/does not support SSL/.test(said))
    return 'the server has no TLS. Turn it on there (ssl = on), or, on a network that you trust, write sslmode=disable in the URL'
  if (/establishing an SSL connection/.test(said))
    return 'the server does not speak TLS as PostgreSQL does. Correct host and port, or sslmode in the URL'
  if (/sslmode=verify-ca requires/.test(said)) return `sslmode=verify-ca wants to know its CA. ${ownCa}`
  return undefined
}

function unusableKeys(said: string, code: string): string | undefined {
  if (!/^ERR_(OSSL|SSL|TLS|CRYPTO)_/.test(code)) return undefined
  return `TLS failed (${said.trim()}). Look at sslmode, sslrootcert, sslcert and sslkey in the URL`
}
