import type { Report } from './report.ts'
export async function drawCharts(_report: Report, _folder: string): Promise<void> {
  await Promise.resolve()
}
