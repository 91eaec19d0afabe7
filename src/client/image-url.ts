/** Values of URL parameters; `undefined` leaves one out, a list is joined by commas. */
export type ImageParams = Readonly<Record<string, string | number | boolean | undefined | readonly (string | number)[]>>

/** As far apart as each step saves bytes; the same as in the documents of the API. */
const defaultWidths = [256, 512, 828, 1200, 1680, 2400, 3200, 4096]

/**
 * The URL of an image. `path` as it is, not encoded yet: `photos/my cat.jpg`; or, for a source that is a web proxy, a whole URL. Private
 * images need signed URLs, which come with their document.
 */
export function imageUrl(base: string, path: string, params: ImageParams = {}): string {
  const encoded = /^https?:/i.test(path)
    ? encodeURIComponent(path)
    : path.replace(/^\/+/, '').split('/').map(encodeURIComponent).join('/')
  const query = Object.entries(params).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`],
  )
  return `${base.replace(/\/+$/, '')}/${encoded}${query.length > 0 ? '?' : ''}${query.join('&')}`
}

/** Candidates for `srcset`, one for each width in pixels. */
export function srcset(
  base: string,
  path: string,
  { widths = defaultWidths, params = {} }: { readonly widths?: readonly number[]; readonly params?: ImageParams } = {},
): string {
  return widths.map((w) => `${imageUrl(base, path, { ...params, w })} ${w}w`).join(', ')
}
