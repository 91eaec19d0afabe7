import { byId, create, fillFacts } from './elements.js'
import { formatBytes, formatMs, formatName } from './fetch-image.js'

// Signatures and client names are checked or dropped, not applied to the picture.
const neverApplied = new Set(['s', 'sig', 'kid', 'expires', 'ixlib', 'ixid', 'preset'])

/** Names in the URL that the server did not list as applied; aliases and base64 twins count as their parameter. */
export function ignoredParams(params, descriptions, appliedHeader) {
  if (appliedHeader === null) return []
  const applied = new Set(appliedHeader.split('&').map((pair) => pair.split('=')[0]))
  const canonical = (name) => {
    const plain = name.replace(/64$/, '')
    return descriptions.find((param) => param.name === plain || param.aliases.includes(plain))?.name ?? name
  }
  return Object.keys(params).filter((name) => !neverApplied.has(name) && !applied.has(canonical(name)))
}

/** Puts the picture or the problem on the stage, and the facts below it. */
export function showResponse(answer, { ignored, hint, alt }) {
  byId('stage').replaceChildren(pictureOf(answer, { hint, alt }))
  const summary = byId('summary')
  const size = answer.size ? `${answer.size.width} × ${answer.size.height}` : ''
  const words = answer.problem
    ? [`${answer.status}`, answer.problem.code]
    : [formatName(answer.type), size, formatBytes(answer.bytes), formatMs(answer.ms)]
  summary.replaceChildren(create('strong', { text: words.filter(Boolean).join(' · ') }))
  fillFacts(byId('facts'), rowsOf(answer, { size, ignored }))
}

/** A problem that no request was needed for. */
export function showProblem(problem) {
  byId('stage').replaceChildren(problemCard(problem, problem.hint))
  byId('summary').replaceChildren()
  byId('facts').replaceChildren()
}

function pictureOf({ problem, size, type, objectUrl }, { hint, alt }) {
  if (problem) return problemCard(problem, hint)
  if (size) return create('img', { src: objectUrl, alt })
  const name = formatName(type)
  const isWebFormat = ['AVIF', 'WEBP', 'JPEG', 'PNG', 'GIF', 'SVG'].includes(name)
  const whose = isWebFormat ? 'This browser' : 'Browsers'
  return problemCard({
    title: `${whose} cannot show ${isWebFormat ? 'this ' : ''}${name}: add w or fm`,
    detail:
      'The answer is in order, and it is the original as it is stored. With w, fm or auto=format it becomes a web format.',
  })
}

function rowsOf({ status, statusText, bytes, type, ms, headers }, { size, ignored }) {
  return [
    ['Status', `${status} ${statusText}`, status >= 400],
    ['Content-Type', type],
    ['Bytes', bytes.toLocaleString('en')],
    ['Dimensions', size],
    ['Time, seen from here', formatMs(ms)],
    ['Cache-Status', headers.get('cache-status')],
    ['Server-Timing', headers.get('server-timing')],
    ['X-Halftone-Params (applied)', headers.get('x-halftone-params')],
    ['Not applied', ignored.join(', '), true],
    ['Cache-Control', headers.get('cache-control')],
    ['Vary', headers.get('vary')],
    ['ETag', headers.get('etag')],
    ['X-Request-Id', headers.get('x-request-id')],
  ]
}

const shownElsewhere = new Set(['type', 'instance', 'status', 'title', 'detail', 'code', 'requestId', 'hint'])

/** A problem document (RFC 9457) for people. */
function problemCard(problem, hint) {
  const { status, title, detail, code, requestId } = problem
  const members = Object.entries(problem).filter(([name]) => !shownElsewhere.has(name))
  const more = members.map(([name, value]) =>
    create('p', { class: 'muted', text: `${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}` }),
  )
  return create(
    'div',
    { class: 'problem', role: 'alert' },
    create('h3', { text: `${status ?? ''} ${title ?? 'The request failed'}`.trim() }),
    create('p', { text: detail ?? '' }),
    ...(hint ? [create('p', { class: 'hint', text: hint })] : []),
    ...more,
    ...(code
      ? [create('p', { class: 'muted' }, create('code', { text: code }), requestId ? ` · request ${requestId}` : '')]
      : []),
  )
}
