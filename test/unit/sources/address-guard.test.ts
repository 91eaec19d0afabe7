import { describe, expect, test } from 'vitest'
import { judgeAddress, parseBlocks } from '../../../src/sources/address-guard.ts'

/** First and last addresses of each range, and what hides an address of one in another form. */
const refused: readonly (readonly [range: string, addresses: readonly string[]])[] = [
  ['unspecified', ['0.0.0.0', '0.0.0.1', '0.255.255.255', '::', '0:0:0:0:0:0:0:0', '::ffff:0.0.0.0']],
  ['loopback', ['127.0.0.0', '127.0.0.1', '127.1.2.3', '127.255.255.255', '::1', '0:0:0:0:0:0:0:1', '::1%lo']],
  ['loopback', ['::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:7f00:0001', '::FFFF:127.0.0.1']],
  ['private', ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255']],
  ['private', ['::ffff:10.1.2.3', '::ffff:192.168.0.1', '::ffff:ac10:1']],
  ['linkLocal', ['169.254.0.0', '169.254.169.254', '169.254.170.2', '169.254.255.255', '::ffff:169.254.169.254']],
  ['linkLocal', ['fe80::', 'fe80::1', 'fe80::1%eth0', 'febf:ffff::1']],
  ['carrierGradeNat', ['100.64.0.0', '100.100.100.200', '100.127.255.255', '::ffff:100.64.0.1']],
  ['multicast', ['224.0.0.0', '224.0.0.251', '239.255.255.255', 'ff00::', 'ff02::1', 'ff0e::1', '::ffff:224.0.0.1']],
  ['broadcast', ['255.255.255.255', '::ffff:255.255.255.255']],
  ['reserved', ['192.0.0.0', '192.0.0.192', '192.0.2.1', '192.88.99.1', '198.18.0.0', '198.19.255.255']],
  [
    'reserved',
    ['198.51.100.7', '203.0.113.7', '240.0.0.0', '255.255.255.254', '2001:db8::1', '3fff::1', '2001:100::1'],
  ],
  ['metadata', ['168.63.129.16', '::ffff:168.63.129.16', '::ffff:a83f:8110']],
  ['as112', ['192.31.196.1', '192.175.48.1']],
  ['amt', ['192.52.193.1', '2001:3::1']],
  ['uniqueLocal', ['fc00::', 'fd00::1', 'fd00:ec2::254', 'fdff:ffff::1']],
  ['deprecatedSiteLocal', ['fec0::', 'fec0::1', 'feff::1']],
  ['discard', ['100::', '100::1']],
  ['benchmarking', ['2001:2::1']],
  ['rfc6052', ['64:ff9b::7f00:1', '64:ff9b::127.0.0.1', '64:ff9b::169.254.169.254', '64:ff9b::8.8.8.8']],
  ['rfc6052', ['64:ff9b:1::', '64:ff9b:1::7f00:1', '64:ff9b:1:ffff::a00:1']],
  ['rfc6145', ['::ffff:0:7f00:1', '::ffff:0:127.0.0.1', '::ffff:0:8.8.8.8']],
  ['6to4', ['2002::', '2002:7f00:1::', '2002:a9fe:a9fe::1', '2002:808:808::']],
  ['teredo', ['2001::', '2001:0:7f00:1::', '2001:0:4136:e378:8000:63bf:3fff:fdd2']],
  ['orchid2', ['2001:20::1']],
  ['deprecatedOrchid', ['2001:10::1']],
  ['segmentRouting', ['5f00::1']],
  [
    'unassigned',
    ['::127.0.0.1', '::7f00:1', '::8.8.8.8', '::10.0.0.1', '::2', '4000::1', '1::1', 'e000::1', '1fff::1'],
  ],
  ['unparsable', ['', 'localhost', '0x7f.1', '0x7f000001', '2130706433', '127.1', '0177.0.0.1', '127.0.0.1.']],
  [
    'unparsable',
    ['[::1]', '127.0.0.1:80', ' 127.0.0.1', '127.0.0.1/8', '１２７.0.0.1', '1.2.3.4.5', '::ffff:1.2.3', ':::1'],
  ],
]

const allowed = [
  ...['1.0.0.0', '1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '93.184.216.34', '100.63.255.255', '100.128.0.0'],
  ...['126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0'],
  ...['191.255.255.255', '192.0.1.0', '192.0.3.0', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0'],
  ...['198.51.99.1', '198.51.101.1', '203.0.112.1', '203.0.114.1', '223.255.255.255', '168.63.129.15'],
  ...[
    '2606:4700::1111',
    '2a00:1450:4001::1',
    '2001:4860:4860::8888',
    '2620:fe::fe',
    '::ffff:8.8.8.8',
    '::ffff:808:808',
  ],
]

describe('an address is refused without an allow-list', () => {
  const rows = refused.flatMap(([range, addresses]) => addresses.map((address) => ({ range, address })))
  test.each(rows)('$address is $range', ({ range, address }) => {
    expect(judgeAddress(address, [])).toEqual({ allowed: false, range })
  })
  test('at least a hundred of them', () => expect(rows.length).toBeGreaterThan(100))
})

test.each(allowed)('%s is on the internet', (address) => {
  expect(judgeAddress(address, [])).toEqual({ allowed: true })
})

describe('an allow-list', () => {
  test.each([
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '11.0.0.1', true],
    ['10.0.0.0/8', '192.168.0.1', false],
    ['10.0.0.7', '10.0.0.7', true],
    ['10.0.0.7', '10.0.0.8', false],
    ['127.0.0.1/32', '127.0.0.2', false],
    ['fd12::/16', 'fd12::1', true],
    ['fd12::/16', 'fd13::1', false],
    ['::1', '::1', true],
    ['::1', '127.0.0.1', false],
    ['0.0.0.0/0', '169.254.169.254', true],
    ['0.0.0.0/0', '::1', false],
  ])('%s: %s is allowed: %s', (block, address, expected) => {
    expect(judgeAddress(address, parseBlocks([block])).allowed).toBe(expected)
  })

  test.each([
    ['64:ff9b::/96', '64:ff9b::8.8.8.8', true],
    ['64:ff9b::/96', '64:ff9b::127.0.0.1', false],
    ['64:ff9b::/96', '64:ff9b::a9fe:a9fe', false],
    ['2002::/16', '2002:808:808::1', true],
    ['2002::/16', '2002:7f00:1::1', false],
    ['2002::/16', '2002:a83f:8110::1', false],
    // The client's address is stored with its bits turned round: f5ff:fffe is 10.0.0.1.
    ['2001::/32', '2001:0:808:808::f7f7:f7f7', true],
    ['2001::/32', '2001:0:808:808::f5ff:fffe', false],
    ['2001::/32', '2001:0:7f00:1::f7f7:f7f7', false],
    ['::/96', '::8.8.8.8', true],
    ['::/96', '::127.0.0.1', false],
    ['::ffff:0:0:0/96', '::ffff:0:10.0.0.1', false],
  ])('%s lets the form through, but what %s carries is judged too: %s', (block, address, expected) => {
    expect(judgeAddress(address, parseBlocks([block])).allowed).toBe(expected)
  })

  test('both lets the form and the carried address through', () => {
    expect(judgeAddress('64:ff9b::10.0.0.1', parseBlocks(['64:ff9b::/96', '10.0.0.0/8']))).toEqual({ allowed: true })
  })
})
