import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleClient, placeTypes } from '../../../scripts/build-client.ts'

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

  test('says which setting is missing', async () => {
    const { createClient } = (await import(join(folder, 'client.js'))) as {
      createClient: (settings: object) => unknown
    }
    expect(() => createClient({ token: 't' })).toThrow('expected baseUrl')
  })

  test('loads where there is nothing but the language', () => {
    const script = text.replace(/export\s*\{[^}]*\};?/, '').replace(/\/\/# sourceMappingURL=.*/, '')
    expect(script).not.toBe(text)
    expect(() => void runInContext(script, createContext({}))).not.toThrow()
  })
})

/** TypeScript of a page: what browsers have, nothing of Node. */
const consumer = `
import { createClient, HalftoneError, picture, srcset, type ImageDocument, type UploadProgress } from './client.js'
const client = createClient({ baseUrl: '', token: () => Promise.resolve('t') })
const input = document.querySelector('input')!
const image: ImageDocument = await client.uploadImage(input.files![0]!, {
  signal: AbortSignal.timeout(1000),
  onProgress: ({ phase, loaded }: UploadProgress) => console.log(phase === 'uploading' ? loaded : 0),
})
input.outerHTML = picture(image, { alt: '' }) + srcset('', 'a.jpg', { params: { auto: ['format'], w: undefined } })
// @ts-expect-error -- a picture says what it shows
picture(image, {})
const code: string = new HalftoneError('network').code
console.log(code)
`

test('the types hold in a page, where Node is not known', () => {
  const root = resolve(import.meta.dirname, '../../..')
  const compile = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'node_modules/tsgo/bin/tsc'), ...args], { cwd: root, encoding: 'utf8' })
  // The client alone: the whole build takes several times as long.
  const project = {
    extends: join(root, 'tsconfig.build.json'),
    compilerOptions: { rootDir: join(root, 'src'), outDir: folder, typeRoots: [join(root, 'node_modules/@types')] },
    include: [join(root, 'src/client')],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project))
  compile('-p', folder, '--emitDeclarationOnly')
  placeTypes(folder)
  const file = join(folder, 'page.ts')
  writeFileSync(file, consumer)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const strict = ['--strict', '--noEmit', '--target', 'es2022', '--lib', 'es2022,dom', '--types', '']
  const { stdout, status } = compile(file, ...strict, '--module', 'nodenext', '--ignoreConfig')
  expect([stdout, status]).toEqual(['', 0])
}, 90_000)
