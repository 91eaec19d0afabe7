import { basename, dirname } from 'node:path'
import { importPeer } from './install-peers.ts'
import { serveRenderJobs } from './serve-render-jobs.ts'

type Ipx = (id: string, modifiers: Record<string, string>) => { process(): Promise<{ data: Buffer }> }

/** ipx as its readme sets it up: sharp's defaults for every format. */
const { createIPX, ipxFSStorage } = (await importPeer('ipx')) as {
  createIPX: (options: { storage: unknown }) => Ipx
  ipxFSStorage: (options: { dir: string }) => unknown
}
const perFolder = new Map<string, Ipx>()

serveRenderJobs(async (file, variant) => {
  const folder = dirname(file)
  const ipx = perFolder.get(folder) ?? createIPX({ storage: ipxFSStorage({ dir: folder }) })
  perFolder.set(folder, ipx)
  const { data } = await ipx(basename(file), { width: String(variant.width), format: variant.output.format }).process()
  return data
})
