import type { VariantPolicy } from '../../config/config.ts'
import { AppError } from '../../errors.ts'
import { triggersRender } from './params.ts'
import type { Params } from './params.ts'
import type { ParsedParams } from './parse-params.ts'
import { registry } from './registry.ts'
import { snapNamed } from './snap-params.ts'

/**
 * Holds the params of an unsigned URL to the variants that its source allows.
 * exact: as asked. presets-only: throws AppError `preset_required` when the URL names anything that changes pixels, a preset
 * that is not there, or no preset where the source has no params of its own. snap: see `snapParams`.
 */
export function applyVariantPolicy(parsed: Pick<ParsedParams, 'params' | 'named'>, policy: VariantPolicy): Params {
  switch (policy.kind) {
    case 'exact':
      return parsed.params
    case 'snap':
      return snapNamed(parsed.params, parsed.named, policy)
    case 'presets-only':
      return requirePreset(parsed)
  }
}

function requirePreset({ params, named }: Pick<ParsedParams, 'params' | 'named'>): Params {
  const other = named.find((name) => registry[name].effect === 'pixels')
  if (other !== undefined) {
    throw new AppError('preset_required', {
      detail: `${other}: only preset= is accepted here`,
      details: { param: other },
    })
  }
  if (named.includes('preset') && params.preset === undefined) {
    throw new AppError('preset_required', { detail: 'preset: no such preset', details: { param: 'preset' } })
  }
  // The bare original would be more than any preset shows: its full size, its place and its date.
  if (params.preset === undefined && !triggersRender(params)) {
    throw new AppError('preset_required', { detail: 'preset: missing', details: { param: 'preset' } })
  }
  return params
}
