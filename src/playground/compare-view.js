import { byId, fillFacts } from './elements.js'
import { formatBytes, formatMs, formatName } from './fetch-image.js'

/** Two settings of one picture under one slider: A is kept by the button, B is what the controls say. */
export function createCompareView() {
  let kept
  let current
  const frame = byId('compare')
  const split = byId('split')
  split.addEventListener('input', () => frame.style.setProperty('--split', `${split.value}%`))
  byId('pin').addEventListener('click', () => {
    if (!current?.objectUrl) return
    kept = current
    draw()
  })

  function draw() {
    const isReady = kept !== undefined && current?.objectUrl !== undefined
    frame.hidden = !isReady
    byId('compare-empty').hidden = isReady
    if (!isReady) return
    byId('compare-a').src = kept.objectUrl
    byId('compare-b').src = current.objectUrl
    const saved = 1 - current.bytes / kept.bytes
    const verdict =
      kept.bytes === current.bytes
        ? 'the same'
        : `${Math.abs(saved * 100).toFixed(0)} % ${saved > 0 ? 'smaller' : 'larger'} than A`
    fillFacts(byId('compare-facts'), [
      ['A', describe(kept)],
      ['B', `${describe(current)}, ${verdict}`],
    ])
  }

  return {
    update(answer) {
      current = answer
      draw()
    },
    /** The object URL that must stay alive. */
    keptUrl: () => kept?.objectUrl,
  }
}

function describe({ url, type, size, bytes, ms }) {
  return `${url} — ${formatName(type)}, ${size ? `${size.width} × ${size.height}, ` : ''}${formatBytes(bytes)}, ${formatMs(ms)}`
}
