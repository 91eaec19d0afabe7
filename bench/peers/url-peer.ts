/** A server that somebody runs for comparison, known by the shape of its URLs. */
export type UrlPeer = {
  readonly name: string
  /** With `{path}`, `{w}` and `{format}`. */
  readonly template: string
}

/** `name=http://host/{w}x/{path}@{format}`. Throws when it is not of that form. */
export function parseUrlPeer(text: string): UrlPeer {
  const match = /^([\w-]+)=(https?:\/\/.+)$/.exec(text)
  const [, name, template] = match ?? []
  if (name === undefined || !template?.includes('{w}'))
    throw new Error(`--peer takes name=URL with {path}, {w} and {format}, got ${text}`)
  return { name, template }
}

/** `path` without a leading slash; `format` is jpeg, webp or avif. */
export function urlOf({ template }: UrlPeer, asked: { path: string; width: number; format: string }): string {
  return template
    .replaceAll('{path}', asked.path)
    .replaceAll('{w}', String(asked.width))
    .replaceAll('{format}', asked.format)
}
