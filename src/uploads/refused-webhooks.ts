import type { UploadsConfig } from '../config/config.ts'
import { judgeAddress, parseBlocks } from '../sources/address-guard.ts'
import type { ResolveHost } from '../sources/resolve-host.ts'
import { hostNameOf } from '../sources/source-url.ts'

/** Hosts of webhooks that every delivery would be refused at, told at the start and not only by the first lost message. */
export async function refusedWebhooks(
  { projects, outgoing }: Pick<UploadsConfig, 'projects' | 'outgoing'>,
  resolveHost: ResolveHost,
): Promise<readonly string[]> {
  const allowed = parseBlocks(outgoing.webhookAddresses)
  const urls = Object.values(projects).flatMap(({ webhook }) => (webhook ? [webhook.url] : []))
  const hosts = [...new Set(urls.map((url) => hostNameOf(new URL(url))))]
  const judged = await Promise.all(
    hosts.map(async (host) => {
      // A name that leads nowhere yet may do so by the time of the first message.
      const found = await resolveHost(host).catch(() => [])
      const isRefused = found.length > 0 && found.every(({ address }) => !judgeAddress(address, allowed).allowed)
      return isRefused ? [host] : []
    }),
  )
  return judged.flat()
}
