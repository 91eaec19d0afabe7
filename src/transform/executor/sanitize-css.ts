import { executorLimits } from './executor-limits.ts'

// Every pattern here is linear in its input: no two neighbouring repetitions match the same character, and no match
// that fails has looked beyond the place where the next one could begin.

/** Anything that could hide a reference or run something: escapes, and functions and properties that load or bind. */
const suspicious =
  /\\|\/\/|@import|@charset|@font-face|@namespace|image-set|cross-fade|image\s*\(|src\s*\(|element\s*\(|expression|javascript|-moz-binding|behavior/i
const comments = /\/\*[\s\S]*?(?:\*\/|$)/g
/** Rules that drawing programs write and that only load things: the rest of the sheet is worth keeping. */
const loadingRules = /@(?:import|charset|namespace)\b[^;{}@]*(?:;|$)|@font-face\s*\{[^{}]*\}/gi
const url = /url/gi
/** `url(#name)`, where a browser and librsvg would read the same. */
const localUrl = /url\(\s*(?:#[\w.:-]+|"\s*#[\w.:-]+\s*"|'\s*#[\w.:-]+\s*')\s*\)/iy

/**
 * CSS that refers to nothing outside the document, or `undefined` when in doubt: a rule that is lost costs a colour,
 * one that is misread costs a request to somebody's server.
 */
export function sanitizeCss(css: string): string | undefined {
  if (css.length > executorLimits.svgStyleLength) return undefined
  const bare = css.replace(comments, ' ').replace(loadingRules, ' ')
  if (suspicious.test(bare)) return undefined
  for (const { index } of bare.matchAll(url)) {
    localUrl.lastIndex = index
    if (!localUrl.test(bare)) return undefined
  }
  return bare
}
