/* global URLSearchParams */

/** The URL that the controls stand for. Commas, colons and slashes stay readable, as people write them. */
export function imageUrl(path, params) {
  const query = Object.entries(params)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${encodeURIComponent(name)}=${readable(value)}`)
    .join('&')
  return query === '' ? path : `${path}?${query}`
}

/** The reverse: what was pasted, as path and parameters. Undefined when it is no path of this server. */
export function readImageUrl(text) {
  const target = text.trim().replace(/^https?:\/\/[^/]+/i, '')
  if (!target.startsWith('/')) return undefined
  const [path = '', ...rest] = target.split('?')
  return { path, params: Object.fromEntries(new URLSearchParams(rest.join('?'))) }
}

function readable(value) {
  return encodeURIComponent(value).replace(/%(2C|3A|2F)/gi, decodeURIComponent)
}
