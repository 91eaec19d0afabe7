import { InvalidArgumentError, type Command } from 'commander'
import { createUrlSigner } from '../signing/create-url-signer.ts'
import { AppError } from '../errors.ts'
import { readConfig } from './read-config.ts'

/** `halftone sign <url>`: the signed form of a URL or request target. */
export function addSignCommand(program: Command): void {
  program
    .command('sign')
    .description('sign a URL or a request target with the first signing key')
    .argument('<url>', 'absolute URL, or path and query exactly as clients will send them')
    .option('--expires-in <seconds>', 'make it worthless after this many seconds', parseSeconds)
    .option('--imgix', 'sign as imgix does (s=), with the first of HALFTONE_IMGIX_TOKENS')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nKeys come from HALFTONE_SIGNING_KEYS (kid:secret). How to sign in your language: docs/signatures.md',
    )
    .action((url: string, options: { expiresIn?: number; imgix?: boolean; json?: boolean }) => {
      const { origin, target } = splitOrigin(url)
      const signer = createUrlSigner(readConfig().signing)
      const expiresAtSeconds =
        options.expiresIn === undefined ? undefined : Math.floor(Date.now() / 1000) + options.expiresIn
      const signed = signer.sign(target, {
        scheme: options.imgix ? 'imgix' : 'native',
        ...(expiresAtSeconds === undefined ? {} : { expiresAtSeconds }),
      })
      process.stdout.write(
        options.json
          ? `${JSON.stringify({ url: `${origin}${signed}`, target: signed, expiresAtSeconds })}\n`
          : `${origin}${signed}\n`,
      )
    })
}

/** Cuts the origin off without touching the rest: a URL parser would rewrite the target, and the signature is on raw bytes. */
export function splitOrigin(url: string): { origin: string; target: string } {
  const match = /^(https?:\/\/[^/?#]+)?(\/[^#]*)$/i.exec(url)
  if (!match?.[2])
    throw new AppError('bad_request', {
      detail: `Expected https://host/path?query or /path?query, got ${JSON.stringify(url)}.`,
    })
  return { origin: match[1] ?? '', target: match[2] }
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new InvalidArgumentError('expected a whole number of seconds, at least 1')
  return seconds
}
