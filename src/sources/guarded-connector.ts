import { isIP, type LookupFunction, type Socket } from 'node:net'
import { buildConnector } from 'undici'
import { AppError } from '../errors.ts'
import { judgeAddress, type AddressBlock } from './address-guard.ts'
import type { ResolveHost } from './resolve-host.ts'

export type GuardedConnectorOptions = {
  readonly allowed: readonly AddressBlock[]
  readonly connectTimeoutMs: number
  readonly resolveHost: ResolveHost
  readonly onRefused?: (refused: { readonly host: string; readonly address: string; readonly range: string }) => void
}

/**
 * Opens connections to addresses that the guard lets through, and to no others: names are resolved here and the very
 * addresses that were judged are connected to, so a second answer of the resolver changes nothing (DNS rebinding).
 */
export function createGuardedConnector(options: GuardedConnectorOptions): buildConnector.connector {
  const judge = (host: string, address: string) => {
    const verdict = judgeAddress(address, options.allowed)
    if (!verdict.allowed) options.onRefused?.({ host, address, range: verdict.range })
    return verdict.allowed
  }
  const lookup: LookupFunction = (hostname, lookupOptions, callback) => {
    options
      .resolveHost(hostname)
      .then((found) => {
        const usable = found.filter(({ address }) => judge(hostname, address))
        if (found.length > 0 && usable.length === 0) throw refused()
        const [first] = usable
        if (!first) throw Object.assign(new Error('no address'), { code: 'ENOTFOUND' })
        if (lookupOptions.all === true) callback(null, [...usable])
        else callback(null, first.address, first.family)
      })
      .catch((error: unknown) => callback(error as NodeJS.ErrnoException, []))
  }
  // TLS is always checked: an explicit value outranks NODE_TLS_REJECT_UNAUTHORIZED.
  const connect = buildConnector({
    ...{ timeout: options.connectTimeoutMs, allowH2: false, rejectUnauthorized: true },
    lookup,
  })

  return (target, callback) => {
    const host = target.hostname.replace(/^\[(.*)\]$/, '$1')
    // Literal addresses are not looked up.
    if (isIP(host) !== 0 && !judge(host, host)) return void queueMicrotask(() => callback(refused(), null))
    connect(target, (...outcome) => {
      const [error, socket] = outcome
      if (error !== null) return callback(error, null)
      if (isJudgedWell(socket, (address) => judge(host, address))) return callback(null, socket)
      socket.destroy()
      callback(refused(), null)
    })
  }
}

/** Once more on what the kernel says, before the first byte is sent. */
function isJudgedWell(socket: Socket, judge: (address: string) => boolean): boolean {
  return socket.remoteAddress !== undefined && judge(socket.remoteAddress)
}

function refused(): AppError {
  return new AppError('source_address_refused', {
    detail: 'The host has no address on the public internet, and none that the operator allows.',
  })
}
