import { nearestName } from './nearest-name.ts'

/** What may stand behind the `?` of a PostgreSQL URL, as the driver reads it; with the values where only some are known. */
export const postgresParameters: Readonly<Record<string, readonly string[] | undefined>> = {
  sslmode: ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'],
  sslrootcert: undefined,
  sslcert: undefined,
  sslkey: undefined,
  sslnegotiation: ['postgres', 'direct'],
  // The driver takes any other text, `false` as well, for yes.
  ssl: ['true', '1', '0', 'no-verify'],
  uselibpqcompat: ['true', 'false'],
  application_name: undefined,
  host: undefined,
  port: undefined,
  user: undefined,
  password: undefined,
  options: undefined,
}

/**
 * What is wrong with the parameters of a URL, each with its mend. The driver passes over what it does not know, and a misspelt sslmode
 * would connect in clear text.
 */
export function postgresParameterFaults(url: string): string[] {
  return [...new URL(url).searchParams].flatMap(([name, value]) => faultOf(name, value) ?? [])
}

function faultOf(name: string, value: string): string | undefined {
  if (!Object.hasOwn(postgresParameters, name)) return unknownName(name)
  const values = postgresParameters[name]
  if (values === undefined)
    return value === '' ? `expected a value of ${name}, got none. Write one, or remove it.` : undefined
  if (values.includes(value)) return undefined
  const nearest = nearestName(value, values)
  const mend = nearest === undefined ? '' : ` Did you mean ${nearest}?`
  return `expected ${name} to be one of ${values.join(', ')}, got ${shown(value)}.${mend}`
}

function unknownName(name: string): string {
  const names = Object.keys(postgresParameters)
  const nearest = nearestName(name, names)
  const mend = nearest === undefined ? 'Remove it.' : `Did you mean ${nearest}?`
  return `expected none but ${names.join(', ')} behind the ?, got ${shown(name)}. ${mend}`
}

/** Part of a password may have come here, where a `?` in it is not written %3F. */
function shown(text: string): string {
  return /^[a-z_-]{1,30}$/i.test(text) ? text : 'something that is not shown here because it may be secret'
}
