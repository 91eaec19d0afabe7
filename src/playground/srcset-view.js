/* global location */
import { byId, create } from './elements.js'
import { fetchImage, formatBytes, formatMs, formatName } from './fetch-image.js'
import { imageUrl, withoutSignature } from './image-url.js'

const maxWidths = 20

/** Makes `<img srcset sizes>` of the current setting for the public `origin`, shows it live, and measures the candidates. */
export function createSrcsetView(readSetting, { origin }) {
  for (const id of ['widths', 'sizes', 'alt']) byId(id).addEventListener('input', draw)
  byId('measure').addEventListener('click', measure)
  const live = byId('live')
  live.addEventListener('load', () => {
    byId('chosen').textContent = `This browser chose ${live.currentSrc.replace(location.origin, '')}`
  })

  live.addEventListener('error', () => {
    byId('chosen').textContent =
      'These URLs are refused; “Measure every width” shows why. Signed URLs are made by your server.'
  })

  function candidates() {
    const { path, params } = readSetting()
    // Every width is another URL, which no signature of this one covers.
    const { h, ...others } = withoutSignature(params)
    // A fixed height would squeeze the small candidates: it goes along as an aspect ratio instead.
    const ratio = params.w && h && !params.ar ? { ar: `${params.w}:${h}` } : {}
    return readWidths().map((width) => ({ width, url: imageUrl(path, { ...others, ...ratio, w: String(width) }) }))
  }

  function draw() {
    const list = candidates()
    const fallback = list[Math.floor(list.length / 2)]
    if (!fallback) return
    const attributes = {
      src: fallback.url,
      srcset: list.map(({ width, url }) => `${url} ${width}w`).join(', '),
      sizes: byId('sizes').value,
      alt: byId('alt').value,
    }
    byId('markup').textContent = markupOf(attributes, list, origin)
    for (const [name, value] of Object.entries(attributes)) live.setAttribute(name, value)
    byId('candidates').hidden = true
  }

  async function measure() {
    const body = byId('candidates').tBodies[0]
    body.replaceChildren()
    byId('candidates').hidden = false
    const { accept } = readSetting()
    for (const { width, url } of candidates()) {
      const answer = await fetchImage(url, { accept })
      const cells = answer.problem
        ? [`${width}w`, '–', answer.problem.code ?? answer.status, '–']
        : [`${width}w`, formatBytes(answer.bytes), formatName(answer.type), formatMs(answer.ms)]
      if (answer.objectUrl) URL.revokeObjectURL(answer.objectUrl)
      body.append(create('tr', {}, ...cells.map((text) => create('td', { text }))))
    }
  }

  return { draw }
}

function readWidths() {
  const widths = byId('widths')
    .value.split(/[\s,]+/)
    .map((text) => Number.parseInt(text, 10))
  return [...new Set(widths)]
    .filter((width) => width >= 2 && width <= 8192)
    .sort((a, b) => a - b)
    .slice(0, maxWidths)
}

function markupOf({ src, sizes, alt }, list, origin) {
  const absolute = (url) => escapeAttribute(origin + url)
  const lines = list.map(({ width, url }) => `    ${absolute(url)} ${width}w`)
  return `<img\n  src="${absolute(src)}"\n  srcset="\n${lines.join(',\n')}\n  "\n  sizes="${escapeAttribute(sizes)}"\n  alt="${escapeAttribute(alt)}"\n  loading="lazy"\n  decoding="async"\n/>`
}

function escapeAttribute(text) {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}
