/* global document, fetch, location, history, clearTimeout, addEventListener, AbortController */
import { createCompareView } from './compare-view.js'
import { wireCopyButton } from './copy-button.js'
import { byId } from './elements.js'
import { fetchImage } from './fetch-image.js'
import { imageUrl, isOwnTarget, readImageUrl, withoutSignature } from './image-url.js'
import { createParamControls } from './param-controls.js'
import { emptyProblem, foreignProblem, hintFor } from './problem-hints.js'
import { createSampleList } from './sample-list.js'
import { ignoredParams, showProblem, showResponse } from './show-response.js'
import { createSrcsetView } from './srcset-view.js'
import { wireTabs } from './tabs.js'

const settleMs = 140
const firstParams = { w: '900', auto: 'format' }

const description = await (await fetch('params.json')).json()
const { samples, presets } = description
const controls = createParamControls(byId('params'), description, touch)
const compareView = createCompareView()
const srcsetView = createSrcsetView(readSetting, { origin: description.publicUrl ?? location.origin })
const sampleList = createSampleList(description, (path) => apply({ path, params: controls.read() }))
// A pasted target is sent byte for byte until a control is touched: its signature covers every byte.
let pasted
// Parameters that were pasted but have no control (base64 twins, say) travel along.
let carried = {}
let timer
let running = new AbortController()
let shownUrl

wire()
await Promise.all([sampleList.draw(), restore() || begin()])

function readSetting() {
  const path = byId('path').value.trim()
  const params = { ...carried, ...controls.read() }
  return { path, params, url: pasted ?? imageUrl(path, params), accept: byId('accept').value }
}

function apply({ path, params, target }) {
  say('')
  pasted = target
  byId('path').value = path
  controls.write(params)
  carried = Object.fromEntries(Object.entries(params).filter(([name]) => !controls.names.has(name)))
  return refresh()
}

/** Whether the page's address names a picture. */
function restore() {
  const setting = readImageUrl(location.hash.slice(1))
  if (setting) void apply(setting)
  return setting !== undefined
}

/** The first picture; a source that serves presets only says so by its refusal. */
async function begin() {
  const path = samples.find((one) => one.endsWith('lake.jpg')) ?? samples[0] ?? ''
  const answer = await apply({ path, params: path === '' ? {} : firstParams })
  if (answer?.problem?.code !== 'preset_required' || presets.length === 0) return
  await apply({ path, params: { preset: presets[0] } })
  say(`${answer.problem.title}, so this begins with one of them.`)
}

/** A control has changed, so that the URL is no longer the one that was pasted. */
function touch() {
  const unsigned = withoutSignature(carried)
  if (Object.keys(unsigned).length < Object.keys(carried).length)
    say('The signature was dropped: it held for the URL as it was pasted, and this is another one now.')
  carried = unsigned
  pasted = undefined
  refreshSoon()
}

function refreshSoon() {
  clearTimeout(timer)
  timer = setTimeout(() => void refresh(), settleMs)
}

/** One request at a time: a newer setting drops the older one, which also frees its place on the server. */
async function refresh() {
  const { path, params, url, accept } = readSetting()
  clearTimeout(timer)
  running.abort()
  if (!isOwnTarget(url) || path === '/') return void showNothing(path)
  const current = (running = new AbortController())
  byId('url').value = location.origin + url
  byId('open').href = url
  history.replaceState(null, '', `#${url}`)
  sampleList.mark(path)
  byId('stage').setAttribute('aria-busy', 'true')
  try {
    const answer = await fetchImage(url, { accept, signal: current.signal })
    if (current.signal.aborted) return undefined
    show(answer, params)
    return answer
  } catch (error) {
    if (!current.signal.aborted) byId('summary').textContent = `The server cannot be reached (${error.message}).`
    return undefined
  } finally {
    if (current === running) byId('stage').setAttribute('aria-busy', 'false')
  }
}

function showNothing(path) {
  byId('url').value = ''
  byId('open').removeAttribute('href')
  byId('stage').setAttribute('aria-busy', 'false')
  showProblem(path === '' || path === '/' ? emptyProblem : foreignProblem)
}

function show(answer, params) {
  const ignored = answer.problem
    ? []
    : ignoredParams(params, description.params, answer.headers.get('x-halftone-params'))
  const hint = answer.problem && hintFor(answer.problem.code, description)
  showResponse(answer, { ignored, hint, alt: `Preview of ${answer.url}` })
  controls.mark(ignored)
  compareView.update(answer)
  if (!byId('view-srcset').hidden) srcsetView.draw()
  if (shownUrl && shownUrl !== compareView.keptUrl()) URL.revokeObjectURL(shownUrl)
  shownUrl = answer.objectUrl
}

function say(text) {
  byId('notice').textContent = text
}

function wire() {
  byId('path').addEventListener('input', touch)
  // Who asks is no part of the URL.
  byId('accept').addEventListener('change', refreshSoon)
  byId('controls').addEventListener('submit', (event) => event.preventDefault())
  byId('controls').addEventListener('reset', (event) => {
    event.preventDefault()
    void apply({ path: byId('path').value, params: {} })
  })
  byId('url').addEventListener('change', () => {
    const setting = readImageUrl(byId('url').value)
    if (setting) void apply(setting)
    else say(foreignProblem.detail)
  })
  addEventListener('hashchange', restore)
  for (const button of document.querySelectorAll('[data-copy]')) wireCopyButton(button)
  wireTabs([...document.querySelectorAll('[role=tab]')], (id) => id === 'tab-srcset' && srcsetView.draw())
}
