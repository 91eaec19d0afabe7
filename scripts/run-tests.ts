/**
 * `npm test`: brings the real things that the suites need (Chromium, an S3 server, PostgreSQL; by apt where this is root on Debian), runs
 * every suite and closes with one plain line of counts. Arguments go to vitest.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { drawSamples } from './draw-samples.ts'

type Need = { readonly what: string; readonly package: string; readonly paths: readonly string[] }

const needs: readonly Need[] = [
  {
    what: 'Chromium',
    package: 'chromium',
    paths: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
  },
  { what: "an S3 server (Ceph's radosgw)", package: 'radosgw', paths: ['/usr/bin/radosgw'] },
  { what: 'its monitor', package: 'ceph-mon', paths: ['/usr/bin/ceph-mon'] },
  { what: 'its store', package: 'ceph-osd', paths: ['/usr/bin/ceph-osd'] },
  { what: 'its tools', package: 'ceph-common', paths: ['/usr/bin/ceph'] },
  { what: 'PostgreSQL', package: 'postgresql', paths: globSync('/usr/lib/postgresql/*/bin/initdb') },
]

const root = resolve(import.meta.dirname, '..')

function bringMissing(): void {
  const missing = needs.filter((need) => !need.paths.some((path) => existsSync(path)))
  if (missing.length === 0) return
  const packages = missing.map((need) => need.package)
  const install = `apt-get install --no-install-recommends -y ${packages.join(' ')}`
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    console.error(
      `The tests need ${missing.map((need) => need.what).join(', ')}. Install it first, on Debian: sudo ${install}`,
    )
    process.exit(1)
  }
  console.log(`installing ${packages.join(' ')} for the tests`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { status } = spawnSync('sh', ['-c', `apt-get update -qq && ${install} -qq >/dev/null`], {
    stdio: 'inherit',
    env,
  })
  if (status !== 0) process.exit(status ?? 1)
}

function runSuites(): number {
  const directory = mkdtempSync(join(tmpdir(), 'halftone-tests-'))
  const report = join(directory, 'report.json')
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ]
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (existsSync(report)) {
    const counts = JSON.parse(readFileSync(report, 'utf8')) as {
      numPassedTests: number
      numFailedTests: number
      numPendingTests: number
    }
    console.log(`${counts.numPassedTests} passed, ${counts.numFailedTests} failed, ${counts.numPendingTests} skipped`)
  }
  rmSync(directory, { recursive: true, force: true })
  return status ?? 1
}

bringMissing()
await drawSamples(join(root, 'samples'))
process.exit(runSuites())
