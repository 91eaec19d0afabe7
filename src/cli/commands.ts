import type { Command } from 'commander'
import { addAuditCommand } from './audit.ts'
import { addDoctorCommand } from './doctor.ts'
import { addExplainCommand } from './explain.ts'
import { addKeysCommand } from './keys.ts'
import { addMigrateCommand } from './migrate.ts'
import { addServeCommand } from './serve.ts'
import { addSignCommand } from './sign.ts'

/** Every command of `halftone`, one row each; help is printed from what each row declares. */
export const commands: readonly ((program: Command) => void)[] = [
  addServeCommand,
  addSignCommand,
  addExplainCommand,
  addKeysCommand,
  addMigrateCommand,
  addAuditCommand,
  addDoctorCommand,
]
