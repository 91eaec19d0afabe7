import { expect, test } from 'vitest'
import { createOriginalBudget } from '../../../src/delivery/original-budget.ts'

const later = () => Promise.withResolvers<string>()

test('refuses what does not fit beside the others, and frees what has ended', async () => {
  const budget = createOriginalBudget(100)
  const [one, two] = [later(), later()]
  const first = budget.spend(60, () => one.promise)
  const second = budget.spend(40, () => two.promise)
  await expect(budget.spend(1, () => Promise.resolve('no'))).rejects.toMatchObject({ code: 'overloaded' })
  one.resolve('done')
  await first
  await expect(budget.spend(60, () => Promise.resolve('yes'))).resolves.toBe('yes')
  two.reject(new Error('failed'))
  await expect(second).rejects.toThrow('failed')
  await expect(budget.spend(100, () => Promise.resolve('free again'))).resolves.toBe('free again')
})

test('one original larger than all is let through alone', async () => {
  const budget = createOriginalBudget(10)
  const big = later()
  const first = budget.spend(1000, () => big.promise)
  await expect(budget.spend(1, () => Promise.resolve(''))).rejects.toMatchObject({ code: 'overloaded' })
  big.resolve('done')
  await expect(first).resolves.toBe('done')
})
