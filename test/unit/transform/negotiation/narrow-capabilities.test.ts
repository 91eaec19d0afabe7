import { expect, test } from 'vitest'
import { narrowCapabilities } from '../../../../src/transform/negotiation/narrow-capabilities.ts'
import { lenientParams } from '../../../helpers/plan-request.ts'

const clients = [true, false].flatMap((avif) => [true, false].map((webp) => ({ avif, webp })))

test.each(['', 'w=100', 'fm=avif', 'auto=compress', 'auto=enhance,redeye'])(
  '%j is the same for all clients',
  (query) => {
    for (const client of clients) {
      expect(narrowCapabilities(lenientParams(query), client)).toEqual({
        capabilities: { avif: false, webp: false },
        negotiated: false,
        key: '',
      })
    }
  },
)

test.each(['auto=format', 'auto=compress,format', 'auto=true', 'auto=format&fm=jpg'])(
  '%s depends on Accept for every client, with one key for each kind',
  (query) => {
    const narrowed = clients.map((client) => narrowCapabilities(lenientParams(query), client))
    expect(narrowed.every(({ negotiated }) => negotiated)).toBe(true)
    expect(narrowed.map(({ capabilities }) => capabilities)).toEqual(clients)
    expect(narrowed.map(({ key }) => key)).toEqual(['avif+webp', 'avif', 'webp', 'neither'])
  },
)
