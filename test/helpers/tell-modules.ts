import { registerHooks } from 'node:module'

// Preloaded by `--import`: at its end a process tells what it has loaded.
const loaded: string[] = []
registerHooks({
  load(url, context, nextLoad) {
    loaded.push(url)
    return nextLoad(url, context)
  },
})
process.once('exit', () => {
  const { moduleLoadList } = process as unknown as { moduleLoadList: string[] }
  process.stderr.write(`\nloaded: ${JSON.stringify([...moduleLoadList, ...loaded])}\n`)
})
