/** Anything that could hide a reference or run something: escapes, and functions and properties that load or bind. */
const suspicious =
  /\\|@import|@charset|@font-face|@namespace|image-set|cross-fade|image\s*\(|src\s*\(|element\s*\(|expression|javascript|-moz-binding|behavior/i
const comments = /\/\*[\s\S]*?(?:\*\/|$)/g
/** Rules that drawing programs write and that only load things: the rest of the sheet is worth keeping. */
const loadingRules = /@(?:import|charset|namespace)\b[^;{}]*(?:;|$)|@font-face\s*\{[^{}]*\}/gi
const urlFunction = /url\s*\(\s*(?:"([^"]*)"|'([^']*)'|([^"')]*))\s*\)/gi
const localUrl = /^\s*#[\w.:-]+\s*$/

/**
 * CSS that refers to nothing outside the document, or `undefined` when in doubt: a rule that is lost costs a colour,
 * one that is misread costs a request to somebody's server.
 */
export function sanitizeCss(css: string): string | undefined {
  const bare = css.replace(comments, ' ').replace(loadingRules, ' ')
  if (suspicious.test(bare)) return undefined
  const withoutLocal = bare.replace(urlFunction, (match, ...groups: (string | undefined)[]) => {
    const target = groups.slice(0, 3).find((group) => group !== undefined) ?? ''
    return localUrl.test(target) ? '' : match
  })
  return /url|\/\//i.test(withoutLocal) ? undefined : bare
}
