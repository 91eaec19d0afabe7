/* global document, fetch, location, history, navigator, clearTimeout, AbortController */
import { createCompareView } from './compare-view.js'
import { byId, create } from './elements.js'
import { fetchImage } from './fetch-image.js'
import { imageUrl, readImageUrl } from './image-url.js'
import { createParamControls } from './param-controls.js'
import { ignoredParams, showResponse } from './show-response.js'
import { createSrcsetView } from './srcset-view.js'

const settleMs = 140
const firstParams = { w: '900', auto: 'format' }

const description = await (await fetch('params.json')).json()
const controls = createParamControls(byId('params'), description, refreshSoon)
const compareView = createCompareView()
const srcsetView = createSrcsetView(readSetting)
// Parameters that were pasted but have no control (signatures, base64 twins) travel along untouched.
let carried = {}
let timer
let running = new AbortController()
let shownUrl

wire()
restore()

function readSetting() {
  return { path: byId('path').value.trim(), params: { ...controls.read(), ...carried }, accept: byId('accept').value }
}

function apply({ path, params }) {
  byId('path').value = path
  controls.write(params)
  carried = Object.fromEntries(Object.entries(params).filter(([name]) => !controls.names.has(name)))
  void refresh()
}

function restore() {
  const fromHash = readImageUrl(safeDecode(location.hash.slice(1)))
  const lake = description.samples.find((path) => path.endsWith('lake.jpg'))
  apply(fromHash ?? { path: lake ?? description.samples[0] ?? '/', params: firstParams })
}

function safeDecode(text) {
  try {
    return decodeURI(text)
  } catch {
    return ''
  }
}

function refreshSoon() {
  clearTimeout(timer)
  timer = setTimeout(() => void refresh(), settleMs)
}

/** One request at a time: a newer setting drops the older one, which also frees its place on the server. */
async function refresh() {
  const { path, params, accept } = readSetting()
  const url = imageUrl(path, params)
  byId('url').value = location.origin + url
  byId('open').href = url
  history.replaceState(null, '', `#${url}`)
  for (const button of byId('samples').children)
    button.setAttribute('aria-pressed', String(button.dataset.path === path))
  running.abort()
  const current = new AbortController()
  running = current
  byId('stage').setAttribute('aria-busy', 'true')
  try {
    show(await fetchImage(url, { accept, signal: current.signal }), params)
  } catch (error) {
    if (current.signal.aborted) return
    byId('summary').textContent = `The server cannot be reached (${error.message}).`
  }
  byId('stage').setAttribute('aria-busy', 'false')
}

function show(answer, params) {
  const ignored = answer.problem
    ? []
    : ignoredParams(params, description.params, answer.headers.get('x-halftone-params'))
  showResponse(answer, { ignored, alt: `Preview of ${answer.url}` })
  controls.mark(ignored)
  compareView.update(answer)
  if (!byId('view-srcset').hidden) srcsetView.draw()
  if (shownUrl && shownUrl !== compareView.keptUrl()) URL.revokeObjectURL(shownUrl)
  shownUrl = answer.objectUrl
}

function wire() {
  byId('sample-paths').replaceChildren(...description.samples.map((value) => create('option', { value })))
  byId('samples').replaceChildren(...description.samples.slice(0, 12).map(createSampleButton))
  byId('path').addEventListener('input', refreshSoon)
  byId('accept').addEventListener('change', refreshSoon)
  byId('controls').addEventListener('submit', (event) => event.preventDefault())
  byId('controls').addEventListener('reset', (event) => {
    event.preventDefault()
    apply({ path: byId('path').value, params: {} })
  })
  byId('url').addEventListener('change', () => {
    const setting = readImageUrl(byId('url').value)
    if (setting) apply(setting)
  })
  for (const button of document.querySelectorAll('[data-copy]'))
    button.addEventListener('click', () => void copy(button))
  wireTabs([...document.querySelectorAll('[role=tab]')])
}

function createSampleButton(path) {
  const picture = create('img', {
    src: imageUrl(path, { w: '96', h: '96', fit: 'crop', auto: 'format' }),
    alt: '',
    loading: 'lazy',
  })
  const choose = () => apply({ path, params: controls.read() })
  return create(
    'button',
    { type: 'button', title: path, 'aria-label': path, 'data-path': path, onclick: choose },
    picture,
  )
}

async function copy(button) {
  const source = byId(button.dataset.copy)
  const text = source.value ?? source.textContent
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
  } catch {
    // Without a secure context there is no clipboard: select it, so that one key press copies.
    source.focus()
    source.select?.()
    button.textContent = 'Press Ctrl+C'
  }
  setTimeout(() => (button.textContent = 'Copy'), 1600)
}

/** The keys of the ARIA tabs pattern: arrows, Home, End. */
function wireTabs(tabs) {
  const select = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute('aria-selected', String(tab === chosen))
      tab.tabIndex = tab === chosen ? 0 : -1
      byId(tab.getAttribute('aria-controls')).hidden = tab !== chosen
    }
    if (chosen.id === 'tab-srcset') srcsetView.draw()
  }
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener('click', () => select(tab))
    tab.addEventListener('keydown', ({ key }) => {
      const steps = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }
      if (steps[key] === undefined) return
      const next = tabs[(steps[key] + tabs.length) % tabs.length]
      next.focus()
      select(next)
    })
  }
}
