import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHmacSha256Signer } from '../../../src/signing/hmac-sha256-signer.ts'

const run = promisify(execFile)
const docs = new URL('../../../docs/signatures.md', import.meta.url)

const interpreters = [
  { language: 'js', command: process.execPath, file: 'sign.mjs' },
  { language: 'python', command: 'python3', file: 'sign.py' },
  { language: 'bash', command: 'bash', file: 'sign.sh' },
  { language: 'perl', command: 'perl', file: 'sign.pl' },
  { language: 'php', command: 'php', file: 'sign.php' },
  { language: 'ruby', command: 'ruby', file: 'sign.rb' },
] as const

const examples = [
  ['/a.jpg', 'secret'],
  ['/a.jpg?w=100&expires=1999999999', 'secret'],
  ['/https%3A%2F%2Fex.com%2Fa%20b.jpg%3Fv%3D1?auto=format%2Ccompress&kid=k1', 'gJ2+/x==y:z'],
] as const

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'halftone-sign-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('the code in docs/signatures.md makes the signature that is accepted', () => {
  test.each(interpreters)('$language', async ({ language, command, file }) => {
    const block = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(await readFile(docs, 'utf8'))?.[1]
    if (block === undefined) throw new Error(`docs/signatures.md has no ${language} block`)
    if (!(await isInstalled(command))) {
      console.log(`SKIPPED: ${command} is not installed, so the ${language} block of docs/signatures.md was not run`)
      return
    }
    const script = join(folder, file)
    await writeFile(script, block)
    for (const [target, secret] of examples) {
      const { stdout } = await run(command, [script, target, secret])
      expect(stdout).toBe(`${createHmacSha256Signer([{ id: 'k1', secret }]).sign(target, {})}\n`)
    }
  })
})

async function isInstalled(command: string): Promise<boolean> {
  try {
    await run(command, ['--version'])
    return true
  } catch {
    return false
  }
}
