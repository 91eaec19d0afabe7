import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The system's Chromium; throws where there is none. */
export function openChromium(): Promise<Browser> {
  if (executablePath === undefined)
    throw new Error('Chromium is missing; npm test installs it on Debian, elsewhere install it by hand')
  return chromium.launch({ executablePath, args: flags })
}
