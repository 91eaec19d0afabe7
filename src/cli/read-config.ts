import { formatFaults } from '../config/config-fault.ts'
import type { Config } from '../config/config.ts'
import { loadConfig, processEnvironment } from '../config/load-config.ts'
import { packageDirectory } from './package-facts.ts'

/** The configuration cannot be used; the message lists every fault. */
export class ConfigFaults extends Error {}

/** The validated configuration of this process. Throws ConfigFaults with all faults at once; notices go to stderr. */
export function readConfig(): Config {
  const loaded = loadConfig(processEnvironment(), { cwd: process.cwd(), packageDir: packageDirectory })
  if (!loaded.ok) throw new ConfigFaults(formatFaults(loaded.faults))
  for (const notice of loaded.notices) process.stderr.write(`notice: ${notice}\n`)
  return loaded.config
}
