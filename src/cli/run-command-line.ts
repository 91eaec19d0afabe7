import { Command, CommanderError } from 'commander'
import { AppError } from '../errors.ts'
import { commands } from './commands.ts'
import { ConfigFaults } from './config-faults.ts'
import { packageFacts } from './package-facts.ts'

/** Parses argv, runs the command, and gives the exit code: 0 done, 1 failed, 2 wrong usage or configuration. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const program = new Command('halftone')
    .description('A self-hosted image origin: fetches, transforms, negotiates, caches and signs pictures.')
    .version(packageFacts().version)
    .showHelpAfterError('(run it with --help for usage)')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
  for (const load of wanted(argv)) (await load())(program)
  for (const command of program.commands) command.exitOverride()
  try {
    await program.parseAsync(argv)
    return typeof process.exitCode === 'number' ? process.exitCode : 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (error instanceof ConfigFaults) return print(error.message, 2)
    if (error instanceof AppError && error.code === 'bad_request') return print(error.message, 2)
    if (error instanceof AppError) return print(describe(error), 1)
    throw error
  }
}

/** The command that argv begins with; all of them for help, and to tell which one was meant. */
function wanted([, , name]: readonly string[]) {
  if (name === '--version' || name === '-V') return []
  const named = Object.entries(commands).find(([command]) => command === name)
  return named ? [named[1]] : Object.values(commands)
}

/** With the code that a client would get, and what is behind it: whoever runs this may know. */
function describe({ code, message, cause }: AppError): string {
  const text = code === 'internal' ? message : `${code}: ${message}`
  return cause instanceof Error && cause.message !== '' ? `${text} (${cause.message})` : text
}

function print(message: string, exitCode: number): number {
  process.stderr.write(`${message}\n`)
  return exitCode
}
