import { formatFaults, type ConfigFault } from '../config/config-fault.ts'
import type { Config } from '../config/config.ts'
import { loadConfig, processEnvironment } from '../config/load-config.ts'
import { checkParams } from '../transform/params/parse-params.ts'
import { ConfigFaults } from './config-faults.ts'
import { packageDirectory } from './package-facts.ts'

/** The validated configuration of this process. Throws ConfigFaults with all faults at once; notices go to stderr. */
export function readConfig({ isServing = false } = {}): Config {
  const loaded = loadConfig(processEnvironment(), { cwd: process.cwd(), packageDir: packageDirectory })
  if (!loaded.ok) throw new ConfigFaults(formatFaults(loaded.faults))
  const faults = paramFaults(loaded.config)
  if (faults.length > 0) throw new ConfigFaults(formatFaults(faults))
  const notices = [...loaded.notices, ...(isServing ? loaded.servingNotices : [])]
  for (const notice of notices) process.stderr.write(`notice: ${notice}\n`)
  return loaded.config
}

/** Presets and default params are an operator's words: what the URL grammar would silently ignore is a fault here. */
function paramFaults({ presets, sources }: Config): ConfigFault[] {
  const written = [
    ...Object.entries(presets).map(([name, query]) => ({ name: `HALFTONE_PRESETS_FILE ${name}`, query })),
    ...sources.map((source) => ({
      name: `HALFTONE_DEFAULT_PARAMS, or defaultParams in HALFTONE_SOURCES_FILE, of source ${source.name}`,
      query: source.defaultParams,
    })),
  ]
  return written.flatMap(({ name, query }) =>
    checkParams(query, presets).map((fault) => ({
      name,
      message: `${fault.name}=${fault.value}: expected ${fault.expected}.`,
    })),
  )
}
