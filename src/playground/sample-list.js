import { byId, create } from './elements.js'
import { fetchImage } from './fetch-image.js'
import { imageUrl } from './image-url.js'

const pageSize = 12
const thumbnail = { w: '96', h: '96', fit: 'crop', auto: 'format' }

/** Thumbnails of the listed pictures, some at a time; `onChoose` is called with a path. */
export function createSampleList({ samples, presets }, onChoose) {
  const container = byId('samples')
  const more = create('button', { type: 'button', class: 'more', onclick: () => showMore() })
  let params
  let shown = 0
  let chosen

  function showMore() {
    const next = samples.slice(shown, shown + pageSize)
    shown += next.length
    more.textContent = `${samples.length - shown} more`
    more.remove()
    container.append(...next.map((path) => createSample(path, imageUrl(path, params), onChoose)))
    if (shown < samples.length) container.append(more)
    mark(chosen)
  }

  function mark(path) {
    chosen = path
    for (const button of container.querySelectorAll('[data-path]'))
      button.setAttribute('aria-pressed', String(button.dataset.path === path))
  }

  return {
    async draw() {
      byId('sample-paths').replaceChildren(...samples.map((value) => create('option', { value })))
      if (samples.length === 0)
        return container.replaceChildren(create('p', { class: 'muted', text: 'No pictures found.' }))
      params = await thumbnailParams(samples[0], presets)
      showMore()
    },
    mark,
  }
}

/** A source may serve presets only, and says so by its refusal. */
async function thumbnailParams(path, presets) {
  if (presets.length === 0) return thumbnail
  const { problem, objectUrl } = await fetchImage(imageUrl(path, thumbnail), { accept: 'image/avif,image/webp,*/*' })
  if (objectUrl) URL.revokeObjectURL(objectUrl)
  return problem?.code === 'preset_required' ? { preset: presets[0] } : thumbnail
}

function createSample(path, src, onChoose) {
  const picture = create('img', { src, alt: '', loading: 'lazy' })
  const button = create(
    'button',
    { type: 'button', title: path, 'aria-label': path, 'data-path': path, onclick: () => onChoose(path) },
    picture,
  )
  picture.addEventListener('error', () => {
    button.title = `${path}: cannot be shown, choose it to see why`
    button.setAttribute('aria-label', button.title)
    picture.replaceWith(create('span', { class: 'broken', text: nameOf(path) }))
  })
  return button
}

function nameOf(path) {
  const name = path.split('/').at(-1)
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
