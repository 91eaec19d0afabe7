import type { RenderJob, Rendered, Variant } from './render-peer.ts'

/** The loop of a render peer: jobs in by message, figures out. Variants are made one after another. */
export function serveRenderJobs(
  renderFile: (file: string, variant: Variant) => Promise<{ readonly length: number }>,
): void {
  process.on('message', (job: RenderJob) => {
    carryOut(job, renderFile).then(
      (rendered) => process.send?.(rendered),
      (error: unknown) => process.send?.({ error: String(error) }),
    )
  })
  process.on('disconnect', () => process.exit())
}

async function carryOut(
  { files, variants }: RenderJob,
  renderFile: (file: string, variant: Variant) => Promise<{ readonly length: number }>,
): Promise<Rendered> {
  const bytes: number[] = []
  const [cpu, startedMs] = [process.cpuUsage(), performance.now()]
  for (const file of files) for (const variant of variants) bytes.push((await renderFile(file, variant)).length)
  const { user, system } = process.cpuUsage(cpu)
  return { cpuMs: (user + system) / 1000, wallMs: performance.now() - startedMs, bytes }
}
