/** One thing wrong with the configuration, with its mend; never carries a secret. */
export type ConfigFault = {
  /** The variable, or the variable and the place in its file. */
  readonly name: string
  /** What was expected, what came, what to do. */
  readonly message: string
}

/** What came, for a message: quoted, cut short, and not at all for secrets. */
export function received(text: string, isSecret: boolean): string {
  if (isSecret) return 'a value that is not shown here because it is secret'
  const quoted = JSON.stringify(text)
  return quoted.length > 120 ? `${quoted.slice(0, 117)}..."` : quoted
}

/** All faults as one text, each with its mend. */
export function formatFaults(faults: readonly ConfigFault[]): string {
  const lines = faults.map((fault) => `  ${fault.name}: ${fault.message}`)
  const title = faults.length === 1 ? '1 setting is wrong:' : `${String(faults.length)} settings are wrong:`
  return [title, ...lines, 'All settings: docs/configuration.md'].join('\n')
}
