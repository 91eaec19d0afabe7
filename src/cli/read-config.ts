import type { Config } from '../config/config.ts'
import { loadConfig, processEnvironment } from '../config/load-config.ts'
import { packageDirectory } from './package-facts.ts'

/** The configuration cannot be used; the message lists every fault. */
export class ConfigFaults extends Error {}

/** The validated configuration of this process. Throws ConfigFaults with all faults at once. */
export function readConfig(): Config {
  const loaded = loadConfig(processEnvironment(), { cwd: process.cwd(), packageDir: packageDirectory })
  if (loaded.ok) return loaded.config
  const lines = loaded.faults.map((fault) => `  ${fault.name}: ${fault.message}`)
  throw new ConfigFaults(['The configuration has faults:', ...lines, 'All settings: docs/configuration.md'].join('\n'))
}
