import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleClient } from '../../../scripts/build-client.ts'

const maxBytes = 5000
const folder = mkdtempSync(join(tmpdir(), 'halftone-client-'))
let text: string

beforeAll(async () => {
  await bundleClient(folder)
  text = readFileSync(join(folder, 'client.js'), 'utf8')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the file that pages load', () => {
  test('is one of less than 5 kB', () => {
    expect(text).not.toMatch(/\bimport\b\s*[{*"'`(]/)
    expect(gzipSync(text, { level: 9 }).length).toBeLessThan(maxBytes)
  })

  test('exports what is documented, and nothing else', async () => {
    const names = Object.keys((await import(join(folder, 'client.js'))) as object)
    expect(names.toSorted()).toEqual(
      ['HalftoneError', 'averageColor', 'createClient', 'imageUrl', 'picture', 'placeholder', 'srcset'].toSorted(),
    )
  })

  test('loads where there is nothing but the language', () => {
    const script = text.replace(/export\s*\{[^}]*\};?/, '').replace(/\/\/# sourceMappingURL=.*/, '')
    expect(script).not.toBe(text)
    expect(() => void runInContext(script, createContext({}))).not.toThrow()
  })
})
