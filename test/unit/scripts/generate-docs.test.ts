import { expect, test } from 'vitest'
import { generateDocs } from '../../../scripts/generate-docs.ts'
import { settings } from '../../../src/config/settings.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { errorTable } from '../../../src/errors.ts'
import { describeParams } from '../../../src/transform/params/describe-params.ts'

test('every setting, param and error has its row', async () => {
  const docs = await generateDocs()
  const [configuration, urlApi, example] = ['docs/configuration.md', 'docs/url-api.md', 'config/example.env'].map(
    (path) => docs.get(path) ?? '',
  )
  for (const setting of Object.values(settings)) {
    expect(configuration).toContain(`| \`${setting.env}\``)
    expect(example).toContain(`#${setting.env}=`)
  }
  for (const param of describeParams()) expect(urlApi).toContain(`| \`${param.name}\``)
  for (const code of Object.keys(errorTable)) expect(urlApi).toContain(`| \`${code}\` |`)
})

test('config/example.env is a configuration when its values are uncommented', async () => {
  const example = (await generateDocs()).get('config/example.env') ?? ''
  const lines = [...example.matchAll(/^#([A-Z0-9_]+)=(.*)$/gm)].map((match): [string, string] => [
    match[1] ?? '',
    match[2] ?? '',
  ])
  expect(lines.length).toBe(Object.keys(settings).length)
  expect(loadConfig(Object.fromEntries<string>(lines), { cwd: '/', packageDir: '/' })).toMatchObject({ ok: true })
})
