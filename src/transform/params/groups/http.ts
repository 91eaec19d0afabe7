import { defineParam } from '../define-param.ts'
import { integer, text } from '../value-types.ts'

/** Year 2286 and beyond is no use in a URL; ten digits also keep seconds apart from milliseconds. */
const MAX_UNIX_SECONDS = 9_999_999_999
const MAX_PRESET_NAME = 64

export const httpParams = {
  expires: defineParam({
    type: integer({ min: 0, max: MAX_UNIX_SECONDS }),
    category: 'http',
    summary: 'Unix seconds after which the URL is not served any more.',
    effect: 'answer',
  }),
  preset: defineParam({
    type: text('the name of a configured preset', MAX_PRESET_NAME),
    category: 'http',
    summary: 'Name of a configured set of parameters; those in the URL come first.',
    effect: 'source',
  }),
}

/** Part of signatures and statistics: accepted, never applied, never reported as ignored. */
export const transportParams = {
  s: transport('imgix signature, verified before parameters are read.'),
  sig: transport('Native signature, verified before parameters are read.'),
  kid: transport('Name of the key of a native signature.'),
  ixlib: transport('Name and version of an imgix client library.'),
  ixid: transport('Tracking identifier of imgix clients.'),
}

function transport(summary: string) {
  return defineParam({ type: text('any text', 255), category: 'http', summary, effect: 'none', base64: false })
}
