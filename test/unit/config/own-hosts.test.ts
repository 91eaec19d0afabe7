import { expect, test } from 'vitest'
import { ownHostsOf } from '../../../src/config/own-hosts.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { projectRoot } from '../../helpers/start-halftone.ts'

test('a server knows itself by its public name, the hosts of its sources, and its port on this machine', () => {
  const env = {
    PORT: '8123',
    HOST: '10.1.2.3',
    HALFTONE_PUBLIC_URL: 'https://img.example:8443',
    HALFTONE_DATA_DIR: 'd',
  }
  const loaded = loadConfig(env, { cwd: projectRoot, packageDir: projectRoot })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  const { server, sources } = loaded.config
  const named = sources.map((source) => ({ ...source, host: 'shop.example' }))
  expect(ownHostsOf({ server, sources: named }).toSorted()).toEqual(
    ['10.1.2.3:8123', '127.0.0.1:8123', '::1:8123', 'img.example', 'localhost:8123', 'shop.example'].toSorted(),
  )
})
