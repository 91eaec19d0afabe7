import type { Command } from 'commander'

type AddCommand = (program: Command) => void

/** Every command of `halftone`, one row each; help is printed from what each declares. Loaded when it is asked for, as some bring half the server. */
export const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  serve: async () => (await import('./serve.ts')).addServeCommand,
  sign: async () => (await import('./sign.ts')).addSignCommand,
  explain: async () => (await import('./explain.ts')).addExplainCommand,
  keys: async () => (await import('./keys.ts')).addKeysCommand,
  migrate: async () => (await import('./migrate.ts')).addMigrateCommand,
  audit: async () => (await import('./audit.ts')).addAuditCommand,
  doctor: async () => (await import('./doctor.ts')).addDoctorCommand,
}
