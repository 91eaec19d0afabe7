import { lookup, type LookupAddress } from 'node:dns'
import { AppError } from '../errors.ts'
import { createSlots } from '../lib/slots.ts'

/** All addresses of a host name. Rejects with the errors of node:dns. */
export type ResolveHost = (hostname: string) => Promise<readonly LookupAddress[]>

/**
 * The system's resolver blocks one of Node's worker threads for as long as a name server is silent, and the disk
 * cache needs these threads too: only this many may wait for names.
 */
const lookupsAtOnce = 2
const lookupsWaiting = 1000
const waitMs = 10_000

/** The system's resolver (hosts file, search domains and all), asked once for everybody who wants a name right now; nothing is kept. */
export function createHostResolver(lookupHost: ResolveHost = lookupAll): ResolveHost {
  const slots = createSlots({ active: lookupsAtOnce, waiting: lookupsWaiting })
  const asking = new Map<string, Promise<readonly LookupAddress[]>>()

  async function ask(hostname: string): Promise<readonly LookupAddress[]> {
    const release = await slots.take(AbortSignal.timeout(waitMs))
    if (!release) throw new AppError('source_connect_timeout', { details: { reason: 'name lookup' } })
    return lookupHost(hostname).finally(release)
  }

  return (hostname) => {
    const underWay = asking.get(hostname) ?? ask(hostname).finally(() => asking.delete(hostname))
    asking.set(hostname, underWay)
    return underWay
  }
}

function lookupAll(hostname: string): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(hostname, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)))
  })
}
