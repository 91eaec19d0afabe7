import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join, relative, resolve } from 'node:path'
import type { Command } from 'commander'
import pc from 'picocolors'
import type { Config } from '../config/config.ts'
import { printConfig } from '../config/print-config.ts'
import { areDrawn } from './drawn-samples.ts'
import { packageDirectory } from './package-facts.ts'
import { prepareDataDirectory } from './prepare-data-directory.ts'
import { readConfig } from './read-config.ts'
import { listSamples } from './samples.ts'

const samplesDirectory = join(packageDirectory, 'samples')
/** In a clone only. */
const drawingScript = join(packageDirectory, 'scripts', 'draw-samples.ts')

/** `halftone serve`: the server, until SIGTERM or SIGINT. */
export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('serve pictures over HTTP')
    .option('--print-config', 'print the effective configuration, secrets redacted, and exit')
    .option('--json', 'with --print-config: as JSON')
    .option('--draw-samples', 'draw the sample pictures first when they are missing (from a clone of the repository)')
    .addHelpText(
      'after',
      '\nSettings come from the environment: docs/configuration.md. Stop with Ctrl-C or SIGTERM: running answers are finished first.',
    )
    .action(async (options: { printConfig?: boolean; json?: boolean; drawSamples?: boolean }, command: Command) => {
      if (options.json && !options.printConfig)
        command.error('error: --json says how --print-config prints: expected both, got --json alone')
      const config = readConfig({ isServing: true })
      if (options.printConfig)
        return void process.stdout.write(`${printConfig(config, options.json ? 'json' : 'text')}\n`)
      if (options.drawSamples) drawMissingSamples(config)
      await serve(config)
    })
}

async function serve(config: Config): Promise<void> {
  prepareDataDirectory(config.dataDir)
  const samples = listSamples(config)
  const { createApp } = await import('../app.ts')
  const app = await createApp(config, { samples })
  const stopped = stopAsked()
  const localOrigin = await app.listen()
  greet({ localOrigin, publicOrigin: config.server.publicUrl ?? localOrigin, samples, config, firstKey: app.firstKey })
  await stopped
  await app.close()
}

/**
 * Resolves with the first signal. A terminal sends Ctrl-C to the launcher, too, which passes it on: that is one wish to stop, told
 * twice. Whoever asks again later does not want to wait for running answers any more.
 */
function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    let askedMs = Infinity
    const ask = (signal: NodeJS.Signals) => {
      if (performance.now() - askedMs > sameWishMs) process.exit(128 + constants.signals[signal])
      askedMs = Math.min(askedMs, performance.now())
      resolve()
    }
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, ask)
  })
}
const sameWishMs = 1000

/** The first minute: a picture to open, and a next step. To stderr, so that stdout stays one JSON line per event. */
function greet(facts: {
  localOrigin: string
  publicOrigin: string
  samples: readonly string[]
  config: Config
  firstKey: string | undefined
}): void {
  const { localOrigin, publicOrigin, samples, config, firstKey } = facts
  const sample = samples.find((path) => path.endsWith('.jpg')) ?? samples[0]
  const isEmpty =
    sample === undefined &&
    config.sources.some(
      (source) => source.kind === 'folder' && source.visibility === 'public' && source.signed !== 'always',
    )
  const signedPlace = placeOfSigned(config)
  const lines = [
    `${pc.bold('Halftone')} is serving on ${pc.cyan(localOrigin)}`,
    ...(sample === undefined ? [] : [`  a picture    ${pc.cyan(`${publicOrigin}${sample}?w=800&auto=format`)}`]),
    ...(signedPlace === undefined
      ? []
      : [`  a picture    ${commandLine(config)} sign '${publicOrigin}${signedPlace}/path/of/picture.jpg?w=800'`]),
    ...(isEmpty ? ['  no pictures were found in the source folder yet'] : []),
    `  playground   ${pc.cyan(`${localOrigin}/-/playground/`)}`,
    ...(firstKey === undefined ? [] : [`  API key      ${firstKey}  (shown this once)`]),
    ...(config.uploads === undefined
      ? []
      : [
          `  ${firstKey === undefined ? 'an API key  ' : 'another key '} ${commandLine(config)} keys create --name app --scopes admin`,
          `  upload       curl -H 'Authorization: Bearer ${firstKey ?? '…'}' -H 'Prefer: wait=20' -F file=@picture.jpg ${localOrigin}/v1/images`,
        ]),
    ...(servesSamples(config) ? [`  next         HALFTONE_SOURCE=/path/to/your/pictures npm start`] : []),
  ]
  process.stderr.write(`\n${lines.join('\n')}\n\n`)
}

/** As it is called where this runs: in a clone, whose package puts no command into the PATH, or installed; with the same data. */
function commandLine({ dataDir }: Config): string {
  const command = existsSync(drawingScript) ? 'npm run --silent halftone --' : 'halftone'
  return resolve(dataDir) === resolve('data') ? command : `HALFTONE_DATA_DIR=${shellWord(dataDir)} ${command}`
}

function shellWord(text: string): string {
  return /^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** Below which path a picture can be shown, where none can without a signature. */
function placeOfSigned({ sources }: Config): string | undefined {
  // The web is signed whatever is said.
  const isOpen = sources.some(
    (source) => source.kind !== 'web' && source.visibility === 'public' && source.signed !== 'always',
  )
  const source = sources.find(({ kind, host }) => kind !== 'web' && host === undefined)
  return isOpen ? undefined : source?.pathPrefix.replace(/\/$/, '')
}

function servesSamples({ sources }: Config): boolean {
  return sources.some((source) => source.kind === 'folder' && relative(source.folder, samplesDirectory) === '')
}

/** A clone has no pictures until its own script has drawn them, in a process of its own. */
function drawMissingSamples(config: Config): void {
  if (!servesSamples(config) || !existsSync(drawingScript) || areDrawn(packageDirectory)) return
  const { status } = spawnSync(process.execPath, [...process.execArgv, drawingScript, samplesDirectory], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) process.stderr.write('The sample pictures could not be drawn; see above. Serving without them.\n')
}
