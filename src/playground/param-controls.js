import { create } from './elements.js'

// Parameters whose values are picked several at a time.
const listParams = { auto: ['format', 'compress', 'enhance'] }
// Sliders need an end that is useful to drag to; the text box beside takes all that is allowed.
const usefulRanges = { w: [16, 2000, 1], h: [16, 2000, 1], dpr: [0.5, 4, 0.25], 'fp-z': [1, 10, 0.1] }
const openCategories = ['size', 'format', 'auto']
// What people reach for first; the others follow in the order of the description.
const firstNames = ['w', 'h', 'fit', 'crop', 'ar', 'rect', 'fm', 'q', 'auto', 'bg', 'fill']
const hiddenParams = new Set(['s', 'ixlib', 'ixid', 'sig', 'kid', 'expires'])

/** Builds one control per parameter, by category; `onChange` is called with every change. */
export function createParamControls(container, { params, presets }, onChange) {
  const rank = ({ name }) => (firstNames.includes(name) ? firstNames.indexOf(name) : firstNames.length)
  const shown = params.filter(({ name }) => !hiddenParams.has(name)).sort((a, b) => rank(a) - rank(b))
  const controls = new Map(shown.map((param) => [param.name, createControl(completed(param, presets), onChange)]))
  const groups = [...new Set(params.map(({ category }) => category))].map((category) => {
    const members = shown.filter((param) => param.category === category)
    const count = create('span', { class: 'count', hidden: true })
    const title = create('summary', { text: category.replaceAll('-', ' ') }, count)
    const fields = members.map(({ name }) => controls.get(name).field)
    return { members, count, element: create('details', { open: openCategories.includes(category) }, title, ...fields) }
  })
  container.replaceChildren(...groups.map(({ element }) => element))

  return {
    /** Values that are set, by name. */
    read: () =>
      Object.fromEntries(
        [...controls].map(([name, control]) => [name, control.read()]).filter(([, value]) => value !== ''),
      ),
    write(values) {
      for (const [name, control] of controls) control.write(values[name] ?? '')
    },
    /** Marks what is set, and what the server did not apply. */
    mark(ignored) {
      for (const [name, control] of controls) {
        control.field.classList.toggle('set', control.read() !== '')
        control.field.classList.toggle('ignored', ignored.includes(name))
      }
      for (const { members, count } of groups) {
        const set = members.filter(({ name }) => controls.get(name).read() !== '').length
        count.textContent = set
        count.hidden = set === 0
      }
    },
    names: new Set(controls.keys()),
  }
}

function completed(param, presets) {
  return param.name === 'preset' && presets.length > 0 ? { ...param, values: presets } : param
}

function createControl(param, onChange) {
  const control = controlOf(param, onChange)
  const needs = Object.entries(param.requires ?? {}).map(([name, words]) => `${name}=${words.join(' or ')}`)
  const hint = create('small', { text: param.summary + (needs.length > 0 ? ` Needs ${needs.join(', ')}.` : '') })
  const id = `param-${param.name}`
  const code = create('code', { text: param.name })
  const isDefaultShown = param.default !== undefined && param.default !== null
  const note = create('em', { text: isDefaultShown ? `default ${param.default}` : '', title: param.expected ?? '' })
  const label = control.isGroup
    ? create('span', { class: 'name', id: `${id}-name` }, code)
    : create('label', { for: id }, code, note)
  return { ...control, field: create('div', { class: 'field' }, label, control.element, hint) }
}

function controlOf(param, onChange) {
  if (listParams[param.name]) return createChips(param, onChange)
  if (isBoolean(param.values)) return createSelect({ ...param, values: ['true', 'false'] }, onChange)
  if (param.values && param.values.length <= 24 && param.name !== 'crop') return createSelect(param, onChange)
  if (rangeOf(param)) return createSlider(param, rangeOf(param), onChange)
  if (/colou?r/i.test(`${param.range ?? ''} ${param.expected ?? ''}`)) return createColor(param, onChange)
  return createText(param, onChange)
}

const isBoolean = (values) => values?.includes('true') === true && values.includes('false')

function rangeOf({ name, range }) {
  if (usefulRanges[name]) return usefulRanges[name]
  const text = Array.isArray(range) ? range.join('..') : (range ?? '')
  const match = /^(-?[\d.]+?)\.\.(-?[\d.]+)$/.exec(text)
  if (!match || Number(match[2]) > 1000) return undefined
  const [low, high] = [Number(match[1]), Number(match[2])]
  return [low, high, high - low <= 1 ? 0.01 : 1]
}

function createText(param, onChange) {
  const choices = param.values
    ? create('datalist', { id: `values-${param.name}` }, ...param.values.map((value) => create('option', { value })))
    : ''
  const input = create('input', {
    id: `param-${param.name}`,
    placeholder: param.expected ?? '',
    spellcheck: 'false',
    list: param.values ? `values-${param.name}` : undefined,
    oninput: onChange,
  })
  return {
    element: create('div', {}, input, choices),
    read: () => input.value.trim(),
    write: (value) => (input.value = value),
  }
}

function createSelect(param, onChange) {
  const options = ['', ...param.values].map((value) => create('option', { value, text: value === '' ? '–' : value }))
  const select = create('select', { id: `param-${param.name}`, onchange: onChange }, ...options)
  const write = (value) => {
    // A value from a pasted URL that is not in the list is still shown, so that nothing is lost.
    if (![...select.options].some((option) => option.value === value))
      select.append(create('option', { value, text: value }))
    select.value = value
  }
  return { element: select, read: () => select.value, write }
}

function createSlider(param, [min, max, step], onChange) {
  const input = create('input', { id: `param-${param.name}`, inputmode: 'decimal', placeholder: '–' })
  const slider = create('input', { type: 'range', min, max, step, 'aria-label': `${param.name} by slider` })
  const rest = () => (Number.isFinite(Number.parseFloat(param.default)) ? Number.parseFloat(param.default) : min)
  const write = (value) => {
    input.value = value
    slider.value = value === '' ? rest() : value
  }
  slider.addEventListener('input', () => {
    input.value = slider.value
    onChange()
  })
  input.addEventListener('input', () => {
    slider.value = input.value === '' ? rest() : input.value
    onChange()
  })
  write('')
  return { element: create('div', { class: 'pair slider' }, slider, input), read: () => input.value.trim(), write }
}

function createColor(param, onChange) {
  const input = create('input', {
    id: `param-${param.name}`,
    placeholder: 'name or hex, alpha first',
    spellcheck: 'false',
    oninput: onChange,
  })
  const picker = create('input', { type: 'color', 'aria-label': `${param.name} by picker`, value: '#ffffff' })
  picker.addEventListener('input', () => {
    input.value = picker.value.slice(1)
    onChange()
  })
  return {
    element: create('div', { class: 'pair' }, input, picker),
    read: () => input.value.trim(),
    write: (value) => (input.value = value),
  }
}

function createChips(param, onChange) {
  const words = param.values?.filter((value) => value !== 'true') ?? listParams[param.name]
  const boxes = words.map((value) => create('input', { type: 'checkbox', value, onchange: onChange }))
  const labels = boxes.map((box) => create('label', {}, box, box.value))
  const element = create(
    'div',
    { class: 'chips', role: 'group', 'aria-labelledby': `param-${param.name}-name` },
    ...labels,
  )
  return {
    element,
    isGroup: true,
    read: () =>
      boxes
        .filter((box) => box.checked)
        .map((box) => box.value)
        .join(','),
    // `true` stands for all of them.
    write(value) {
      const chosen = value.split(',').map((word) => word.trim())
      for (const box of boxes) box.checked = chosen.includes(box.value) || chosen.includes('true')
    },
  }
}
