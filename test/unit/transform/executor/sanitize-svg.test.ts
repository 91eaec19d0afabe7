import { describe, expect, test } from 'vitest'
import { executorLimits } from '../../../../src/transform/executor/executor-limits.ts'
import { sanitizeSvg } from '../../../../src/transform/executor/sanitize-svg.ts'

const open = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
const sanitized = (inner: string, start = open) => sanitizeSvg(Buffer.from(`${start}${inner}</svg>`)).toString()

describe('sanitizeSvg drops', () => {
  test.each([
    ['script', '<script>alert(1)</script>', /script|alert/],
    ['script in another prefix', '<s:script xmlns:s="http://www.w3.org/2000/svg">alert(1)</s:script>', /script|alert/],
    ['XHTML script', '<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>', /script|alert/],
    [
      'XHTML elements',
      '<h:body xmlns:h="http://www.w3.org/1999/xhtml"><h:img src="x" onerror="alert(1)"/></h:body>',
      /body|img|alert/,
    ],
    ['handlers', '<rect onload="alert(1)" ONCLICK="x" onmouseover="y"/>', /alert|onclick|onmouse/i],
    ['foreignObject', '<foreignObject><iframe/></foreignObject>', /foreign|iframe/],
    [
      'SMIL',
      '<a id="q"><animate attributeName="href" values="javascript:alert(1)"/><set attributeName="onclick" to="x"/></a>',
      /animate|set|javascript/,
    ],
    ['links', '<a href="javascript:alert(1)"><text>hi</text></a>', /javascript|<a/],
    ['external use', '<use href="https://evil.test/x.svg#a"/><use xlink:href="//evil.test/x.svg#a"/>', /evil/],
    ['external image', '<image href="https://evil.test/a.png"/>', /evil/],
    ['file image', '<image xlink:href="file:///etc/passwd"/>', /passwd/],
    ['SVG data image', '<image href="data:image/svg+xml;base64,PHN2Zz4="/>', /data:/],
    ['data use', '<use href="data:image/png;base64,AAAA#x"/>', /data:/],
    ['feImage', '<filter><feImage href="http://evil.test/a"/></filter>', /evil/],
    ['style import', '<style>@import "http://evil.test/a.css"; rect{fill:red}</style>', /evil|import/],
    ['style url', '<style>rect{fill:url(http://evil.test/a)}</style>', /evil/],
    ['quoted style url', '<rect style="fill:url( \'http://evil.test/a\' )"/>', /evil/],
    ['escaped style url', '<style>rect{fill:\\75 rl(http://evil.test/a)}</style>', /evil/],
    ['commented style url', '<style>rect{fill:u/**/rl(http://evil.test/a)}</style>', /evil/],
    [
      'import after a nested style',
      '<style>a{}<style>b{}</style>@import url(http://evil.test/x.css);</style>',
      /evil|@/,
    ],
    ['import in a nested style', '<style>a{}<style>@import "http://evil.test/x.css";</style></style>', /evil|@/],
    ['import after an element in a style', '<style>a{}<g>b</g>@import "http://evil.test/x.css";</style>', /evil|@|<g/],
    ['import after a script in a style', '<style>a{}<script/>@import "http://evil.test/x.css";</style>', /evil|@/],
    ['import after a link in a style', '<style><a>@import</a> "//evil.test/x.css";<a>x</a></style>', /evil|@/],
    ['import spread over CDATA', '<style>@im<![CDATA[port "http://evil.test/x.css";]]></style>', /evil|@/],
    ['import spread over an element', '<style>@im<g/>port "http://evil.test/x.css";</style>', /evil|@/],
    ['import behind another import', '<style>@import "a" @import url(http://evil.test/x.css);</style>', /evil|@/],
    ['url with a space', '<style>rect{fill:url (http://evil.test/a)}</style>', /evil/],
    ['url beside a local one', '<rect style="fill:url(#a);mask:url(http:evil.test)"/>', /evil/],
    ['image-set', '<style>rect{background:image-set("http://evil.test/a" 1x)}</style>', /evil/],
    ['attribute url', '<rect fill="url(http://evil.test/#a)" filter="url(//evil.test/a)"/>', /evil/],
    [
      'script made by text in style',
      '<style>&lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;</style>',
      /<script|<\/style><script/,
    ],
    ['script made by CDATA', '<text><![CDATA[</text><script>alert(1)</script>]]></text>', /<script/],
    ['attribute breakout', '<text id="&quot; onload=&quot;alert(1)">x</text>', /" onload="/],
    ['unknown elements with content', '<metadata><rdf>x</rdf></metadata><handler>alert(1)</handler>', /rdf|alert/],
    ['base', '<g xml:base="http://evil.test/"/>', /evil/],
    ['processing instruction', '<?xml-stylesheet href="http://evil.test/a.css"?>', /evil/],
  ])('%s', (_name, inner, forbidden) => {
    const out = sanitized(inner + '<circle r="3"/>')
    expect(out).not.toMatch(forbidden)
    expect(out).toContain('<circle r="3">')
    // What was written is stable: nothing new appears when it is read again.
    expect(sanitizeSvg(Buffer.from(out)).toString()).toBe(out)
  })

  test('DOCTYPE and stylesheets before the root', () => {
    const out = sanitized(
      '<circle r="3"/>',
      `<?xml-stylesheet href="http://evil.test/a.css"?><!DOCTYPE svg SYSTEM "http://evil.test/a.dtd">${open}`,
    )
    expect(out).not.toMatch(/evil|DOCTYPE/)
  })
})

describe('sanitizeSvg keeps', () => {
  test.each([
    ['local use', '<use xlink:href="#a" x="3"/>', '<use xlink:href="#a" x="3">'],
    ['gradients', '<rect fill="url(#g)"/>', 'fill="url(#g)"'],
    ['inline style', '<rect style="fill:url(#g);stroke:red"/>', 'style="fill:url(#g);stroke:red"'],
    ['a stylesheet', '<style>.a{fill:#f00}</style>', '<style>.a{fill:#f00}</style>'],
    [
      'the rest of a sheet with font rules',
      '<style>@font-face{font-family:F;src:url(data:font/woff;base64,AA)} .a{fill:#f00}</style>',
      '.a{fill:#f00}',
    ],
    ['embedded pictures', '<image href="data:image/png;base64,AAAA"/>', 'href="data:image/png;base64,AAAA"'],
    ['text of a link', '<a href="http://x.test"><text>hi</text></a>', '<text>hi</text>'],
    ['escaped text', '<text>1 &lt; 2 &amp;</text>', '<text>1 &lt; 2 &amp;</text>'],
    ['transforms', '<g transform="rotate(30 1,1)"/>', 'transform="rotate(30 1,1)"'],
    ['filters', '<filter id="f"><feGaussianBlur stdDeviation="2"/></filter>', '<feGaussianBlur stdDeviation="2">'],
  ])('%s', (_name, inner, wanted) => {
    expect(sanitized(inner)).toContain(wanted)
  })

  test('files that name their namespaces by entities', () => {
    const doctype = '<!DOCTYPE svg [<!ENTITY ns_svg "http://www.w3.org/2000/svg">]>'
    expect(sanitizeSvg(Buffer.from(`${doctype}<svg xmlns="&ns_svg;"><circle r="3"/></svg>`)).toString()).toContain(
      '<circle',
    )
  })

  test('UTF-16', () => {
    const text = `<?xml version="1.0" encoding="UTF-16"?>${open}<text>é</text></svg>`
    expect(sanitizeSvg(Buffer.from(`\ufeff${text}`, 'utf16le')).toString()).toContain('<text>é</text>')
  })
})

describe('sanitizeSvg refuses', () => {
  const laughs = [
    'a "lollollol"',
    ...['b', 'c', 'd'].map((name, index) => `${name} "${'&abc'.charAt(index + 1)};"`),
  ].map((entity) => `<!ENTITY ${entity}>`)
  test.each([
    ['entities that could multiply', `<!DOCTYPE svg [${laughs.join('')}]>${open}<text>&d;</text></svg>`],
    ['file entities', `<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>${open}<text>&x;</text></svg>`],
    ['unclosed elements', `${open}<g></svg>`],
    ['bottomless nesting', `${open}${'<g>'.repeat(5000)}${'</g>'.repeat(5000)}</svg>`],
    [
      'a flood of entities',
      `<!DOCTYPE svg [<!ENTITY a "http://${'a'.repeat(110)}">]>${open}<text>${'&a;'.repeat(50_000)}</text></svg>`,
    ],
  ])('%s', (_name, text) => {
    expect(() => sanitizeSvg(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'undecodable' }) as Error)
  })
})

describe('a megabyte of anything is checked in one walk', () => {
  const repeated = (part: string) => part.repeat(Math.floor(1_000_000 / part.length))
  // What takes the square or the cube of its length does not end within the time a test is given.
  test.each([
    ['blanks in a url', `url(${repeated(' ')}`],
    ['blanks in a quoted url', `url("${repeated(' ')}`],
    ['blanks after a name', `url(#a${repeated(' ')}x`],
    ['a name without end', `url(#${repeated('a')}`],
    ['urls without end', repeated('url(')],
    ['urls with blanks', repeated('url( ')],
    ['local urls', repeated('url(#a) ')],
    ['imports without end', `${repeated('@import ')}{`],
    ['font faces without end', repeated('@font-face{')],
    ['font faces and blanks', repeated('@font-face ')],
    ['comments without end', repeated('/*')],
    ['quotes', repeated('url("\'')],
    ['blanks', repeated(' ')],
    ['images', repeated('image ')],
  ])('%s', (_name, css) => {
    const rest = '<circle r="3"/>'
    const attribute = css.replaceAll('"', '&quot;')
    expect(sanitized(`<style>${css}</style>${rest}`)).toContain('<circle r="3">')
    expect(sanitized(`<g style="${attribute}" fill="${attribute}"/>${rest}`)).toContain('<circle r="3">')
  })

  test('a style beyond all reason is left out', () => {
    const sheet = `rect{fill:red}${' '.repeat(executorLimits.svgStyleLength)}`
    expect(sanitized(`<style>${sheet}</style>`)).toContain('<style></style>')
  })
})
