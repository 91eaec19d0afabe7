#!/usr/bin/env node
import { runCommandLine } from './cli/run-command-line.ts'

// `halftone … | head` has got what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})
process.exitCode = await runCommandLine(process.argv)
