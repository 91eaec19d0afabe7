/* global URLSearchParams */

// They hold for one URL byte for byte; `kid` only names the key of one.
const signatureParams = new Set(['sig', 's', 'kid'])

/** The URL that the controls stand for. Commas, colons and slashes stay readable, as people write them. */
export function imageUrl(path, params) {
  const query = Object.entries(params)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${encodeURIComponent(name)}=${readable(value)}`)
    .join('&')
  return query === '' ? path : `${path}?${query}`
}

/**
 * The reverse: what was pasted, as path and parameters, and the target itself, which is to be sent as it is while nobody
 * changes anything. Undefined when it is no path of this server.
 */
export function readImageUrl(text) {
  const target = text
    .trim()
    .replace(/^https?:\/\/[^/]+/i, '')
    .replace(/#.*$/s, '')
  if (!isOwnTarget(target)) return undefined
  const [path = '', ...rest] = target.split('?')
  return { path, params: readParams(rest.join('?')), target }
}

/** Whether a browser takes this for a path of the page's server: `//x`, `/\x` and what hides them lead to another one. */
export function isOwnTarget(target) {
  if (!/^\/(?!\/)/.test(target)) return false
  const page = 'http://page.invalid'
  return URL.canParse(target, page) && new URL(target, page).origin === page
}

/** Without what would be wrong as soon as a byte of the URL is another. */
export function withoutSignature(params) {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !signatureParams.has(name)))
}

/** As the server reads a query: the last repetition wins, but those of `auto` add up. */
function readParams(query) {
  const params = new Map()
  for (const [name, value] of new URLSearchParams(`?${query}`)) {
    const earlier = name === 'auto' ? params.get(name) : undefined
    params.set(name, earlier ? `${earlier},${value}` : value)
  }
  return Object.fromEntries(params)
}

function readable(value) {
  return encodeURIComponent(value).replace(/%(2C|3A|2F)/gi, decodeURIComponent)
}
