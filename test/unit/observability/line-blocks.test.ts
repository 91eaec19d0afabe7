import { expect, test } from 'vitest'
import { createLineBlocks } from '../../../src/observability/line-blocks.ts'

test('lines leave together, whole and in order, when there are enough of them or at a flush', () => {
  const sent: string[] = []
  const blocks = createLineBlocks(10, (block) => sent.push(block.toString()))
  blocks.flush()
  for (const line of ['1234\n', '5678\n', 'abc\n']) blocks.write(line)
  expect(sent).toEqual(['1234\n5678\n'])
  blocks.flush()
  blocks.flush()
  blocks.write('a line that is longer than two blocks: é一\n')
  expect(sent).toEqual(['1234\n5678\n', 'abc\n', 'a line that is longer than two blocks: é一\n'])
})
