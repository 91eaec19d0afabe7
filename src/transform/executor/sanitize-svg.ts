import type { SaxesAttributeNS, SaxesTagNS } from 'saxes'
import { SaxesParser } from 'saxes'
import { AppError } from '../../errors.ts'
import { executorLimits } from './executor-limits.ts'
import { sanitizeCss } from './sanitize-css.ts'
import { decodeXmlText } from './sniff-format.ts'
import { allowedAttributes, allowedElements, unwrappedElements } from './svg-allowlist.ts'

const svgNamespace = 'http://www.w3.org/2000/svg'
const xlinkNamespace = 'http://www.w3.org/1999/xlink'
const xmlNamespace = 'http://www.w3.org/XML/1998/namespace'

/** References inside the document. */
const localReference = /^#[^\s"'<>()]+$/
/** Pictures inside the document; not SVG, which could hold references of its own. */
const rasterReference = /^data:image\/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/=\s]*$/
const imageElements: ReadonlySet<string> = new Set(['image', 'feImage'])

/** What is done with an element when its end comes. */
type OpenElement = { readonly name: string; readonly keep: 'whole' | 'content' | 'nothing' }

/**
 * Parses an SVG strictly and writes it anew from an allow-list: no script, handler, animation, foreign content, link,
 * DOCTYPE or reference out of the document can pass, as only what is understood is written. UTF-8 out.
 * Throws `undecodable` for what is not well-formed XML.
 */
export function sanitizeSvg(bytes: Buffer): Buffer {
  const text = decodeXmlText(bytes).trimStart()
  const writer = createWriter(text.length * executorLimits.svgGrowth + 65_536)
  const parser = new SaxesParser({ xmlns: true, additionalNamespaces: { xlink: xlinkNamespace } })
  parser.on('error', (error) => {
    throw new AppError('undecodable', { detail: 'The SVG is not well-formed XML', cause: error })
  })
  parser.on('doctype', (doctype) => Object.assign(parser.ENTITIES, namespaceEntities(doctype)))
  parser.on('opentag', (tag) => writer.open(tag))
  parser.on('closetag', () => writer.close())
  parser.on('text', (content) => writer.text(content))
  parser.on('cdata', (content) => writer.text(content))
  parser.write(text).close()
  return Buffer.from(writer.finish())
}

function createWriter(maxLength: number) {
  const parts: string[] = []
  const elements: OpenElement[] = []
  let length = 0
  let style: string[] | undefined
  const isKept = (): boolean => elements.at(-1)?.keep !== 'nothing'
  const push = (part: string): void => {
    length += part.length
    if (length > maxLength) throw new AppError('undecodable', { detail: 'The SVG grows too much when it is expanded' })
    parts.push(part)
  }
  return {
    open(tag: SaxesTagNS): void {
      if (elements.length >= executorLimits.svgDepth)
        throw new AppError('undecodable', { detail: 'The SVG is nested too deeply' })
      // A style holds text only: an element in it would end the collecting of what has to be checked.
      const keep = isKept() && !style ? keepElement(tag, elements.length === 0) : 'nothing'
      elements.push({ name: tag.local, keep })
      if (keep !== 'whole') return
      if (tag.local === 'style') style = []
      push(`<${tag.local}${elements.length === 1 ? rootNamespaces : ''}${attributesText(tag)}>`)
    },
    text(content: string): void {
      if (!isKept() || elements.length === 0) return
      if (style) style.push(content)
      else push(escapeXml(content))
    },
    close(): void {
      const element = elements.pop()
      if (element?.keep !== 'whole') return
      if (element.name === 'style') {
        push(escapeXml(sanitizeCss(style?.join('') ?? '') ?? ''))
        style = undefined
      }
      push(`</${element.name}>`)
    },
    finish(): string {
      if (parts.length === 0) throw new AppError('not_an_image')
      return parts.join('')
    },
  }
}

const rootNamespaces = ` xmlns="${svgNamespace}" xmlns:xlink="${xlinkNamespace}"`

function keepElement(tag: SaxesTagNS, isRoot: boolean): OpenElement['keep'] {
  // Hand-written files often forget the namespace; they can only mean SVG.
  const isSvg = tag.uri === svgNamespace || tag.uri === ''
  if (!isSvg || (isRoot && tag.local !== 'svg')) return 'nothing'
  if (unwrappedElements.has(tag.local)) return 'content'
  return allowedElements.has(tag.local) ? 'whole' : 'nothing'
}

function attributesText(tag: SaxesTagNS): string {
  const texts = new Map<string, string>()
  for (const attribute of Object.values(tag.attributes)) {
    const name = attributeName(attribute)
    const value = name === undefined ? undefined : attributeValue(name, attribute.value, tag.local)
    if (name !== undefined && value !== undefined) texts.set(name, value)
  }
  return [...texts].map(([name, value]) => ` ${name}="${escapeXml(value)}"`).join('')
}

/** The name an attribute is written under, or undefined when it is not kept. */
function attributeName({ uri, local, prefix }: SaxesAttributeNS): string | undefined {
  if (uri === xlinkNamespace) return local === 'href' ? 'xlink:href' : undefined
  if (uri === xmlNamespace) return local === 'space' || local === 'lang' ? `xml:${local}` : undefined
  if (uri !== '' || prefix !== '') return undefined
  return allowedAttributes.has(local) || /^aria-[a-z]+$/.test(local) ? local : undefined
}

function attributeValue(name: string, value: string, element: string): string | undefined {
  if (name === 'href' || name === 'xlink:href') {
    const target = value.trim()
    if (localReference.test(target)) return target
    return imageElements.has(element) && rasterReference.test(target) ? target : undefined
  }
  // Presentation attributes are parsed as CSS, so `fill="url(http://…)"` is checked like a style.
  return name === 'style' || /[\\(]|javascript/i.test(value) ? sanitizeCss(value) : value
}

/** Illustrator declares its namespaces as entities; other entities stay undeclared and make the file malformed. */
function namespaceEntities(doctype: string): Record<string, string> {
  const declarations = doctype.matchAll(/<!ENTITY\s+([\w.-]{1,40})\s+"(https?:\/\/[\w./#-]{1,120})"\s*>/g)
  const entities: Record<string, string> = {}
  for (const [, name = '', value = ''] of declarations) entities[name] = value
  return entities
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => escapes[character] ?? character)
}
