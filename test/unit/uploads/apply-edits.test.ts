import { expect, test } from 'vitest'
import { applyEdits } from '../../../src/uploads/apply-edits.ts'

const bytes = Buffer.from('0123456789')
const edit = (start: number, end: number, text = '') => ({
  ...{ start, end },
  bytes: Buffer.from(text).toString('base64'),
})

test.each([
  ['none', [], '0123456789'],
  ['one taken out', [edit(2, 5)], '0156789'],
  ['one replaced by more', [edit(2, 3, 'abc')], '01abc3456789'],
  ['one put in', [edit(4, 4, '-')], '0123-456789'],
  ['at both ends', [edit(0, 1, 'a'), edit(9, 10, 'b')], 'a12345678b'],
  ['side by side', [edit(2, 4, 'x'), edit(4, 6, 'y')], '01xy6789'],
  ['all of it', [edit(0, 10)], ''],
])('%s', (_, edits, wanted) => {
  expect(applyEdits(bytes, edits).toString()).toBe(wanted)
  expect(bytes.toString()).toBe('0123456789')
})

test.each([
  ['that overlap', [edit(2, 5), edit(4, 6)]],
  ['out of order', [edit(5, 6), edit(2, 3)]],
  ['behind the end', [edit(9, 11)]],
  ['that end before they start', [edit(5, 4)]],
])('edits %s are refused rather than half made', (_, edits) => {
  expect(() => applyEdits(bytes, edits)).toThrow('edits overlap or lie outside')
})
