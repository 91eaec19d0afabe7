import type { Command } from 'commander'
import { createExplainer } from '../delivery/create-explainer.ts'
import type { Explanation } from '../delivery/explain-image.ts'
import { openExplainedUploads } from './explained-uploads.ts'
import { readConfig } from './read-config.ts'
import { splitOrigin } from './sign.ts'

// What Chromium sends for an <img>.
const browserAccept = 'image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8'

/** `halftone explain <url>`: request, params, capabilities, plan, and why. */
export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('show what a URL means: source, params, capabilities, plan, and the reason for its format and size')
    .argument('<url>', 'absolute URL, or path and query')
    .option('--accept <header>', 'Accept header of the client', browserAccept)
    .option('--host <host>', 'Host header, when the URL is only a path')
    .option('--json', 'print JSON')
    .action(async (url: string, options: { accept: string; host?: string; json?: boolean }) => {
      const { origin, target } = splitOrigin(url)
      const host = options.host ?? (origin === '' ? undefined : origin.replace(/^https?:\/\//i, ''))
      const config = readConfig()
      const explainer = createExplainer(config, await openExplainedUploads(config, target))
      try {
        const explanation = await explainer.explain({ target, host, accept: options.accept })
        process.stdout.write(options.json ? `${JSON.stringify(explanation, null, 2)}\n` : describe(explanation))
      } finally {
        await explainer.close()
      }
    })
}

function describe(explanation: Explanation): string {
  const { source, metadata, plan, result, capabilities } = explanation
  const frames = metadata.frames > 1 ? `, ${metadata.frames} frames` : ''
  const rows: (readonly [string, string])[] = [
    ['request', explanation.target],
    ['signature', toldSignature(explanation.signature)],
    ['source', `${source.name} ${source.path} (${source.state.byteLength} bytes, version ${source.state.version})`],
    ['params', explanation.canonical || '(none that change a pixel)'],
    ...explanation.ignored.map((one) =>
      one.appliedAs === undefined
        ? (['ignored', `${one.name}=${one.value} (expected ${one.expected})`] as const)
        : (['clamped', `${one.name}=${one.value} to ${one.appliedAs} (expected ${one.expected})`] as const),
    ),
    [
      'capabilities',
      `${named(capabilities.accepted)}; ${capabilities.varyAccept ? 'Vary: Accept' : 'without auto=format they do not matter, no Vary'}`,
    ],
    [
      'original',
      `${metadata.format} ${metadata.width}x${metadata.height}, orientation ${metadata.orientation}, ${metadata.colorSpace}${metadata.hasAlpha ? ', alpha' : ''}${frames}`,
    ],
    ...describePlan(plan),
    ['result', `${result.format} ${result.width}x${result.height}, ${result.bytes} bytes in ${result.renderMs} ms`],
  ]
  return rows.map(([label, text]) => `${label.padEnd(13)} ${text}\n`).join('')
}

function named(capabilities: object): string {
  const names = Object.entries(capabilities).flatMap(([name, has]) => (has === true ? [name] : []))
  return names.length === 0 ? 'neither AVIF nor WebP' : names.join(', ')
}

/** What clients are told about it, too. */
function toldSignature(signature: Explanation['signature']): string {
  const isRefused = signature === 'expired' || signature.startsWith('required')
  return isRefused ? `${signature}: clients are refused, you are shown the rest` : signature
}

function describePlan(plan: Explanation['plan']): (readonly [string, string])[] {
  if (plan.kind === 'passthrough')
    return [['plan', plan.sanitize ? 'send the original, sanitised' : 'send the original untouched']]
  return [
    ...plan.operations.map((operation) => ['plan', describeFields(operation)] as const),
    ['plan', `write ${describeFields(plan.output)}`],
    ...plan.reasons.map((reason) => ['because', reason] as const),
  ]
}

function describeFields(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) =>
      name === 'op' || name === 'format'
        ? String(value)
        : `${name}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
    )
    .join(' ')
}
