import { expect, test } from 'vitest'
import type { UploadState } from '../../../src/db/records.ts'
import { isSettled, nextStates, statesBefore } from '../../../src/uploads/upload-state.ts'

const states = Object.keys(nextStates) as UploadState[]

test.each<[UploadState, UploadState[]]>([
  ['uploaded', ['pending', 'failed']],
  ['processing', ['uploaded', 'processing']],
  ['ready', ['processing', 'quarantined']],
  ['quarantined', ['processing']],
  ['expired', ['pending']],
  ['pending', []],
])('%s is reached from %j only', (to, from) => {
  expect(statesBefore(to)).toEqual(from)
})

test('an upload that was rejected, expired or deleted stays so', () => {
  expect(states.filter((state) => nextStates[state].length === 0)).toEqual(['rejected', 'expired', 'deleted'])
})

test('every state but the first can be reached, and every one that is not the last leads to an end', () => {
  const reached = new Set(states.flatMap((state) => nextStates[state]))
  expect(states.filter((state) => !reached.has(state))).toEqual(['pending'])
  expect(states.filter((state) => !isSettled(state) && !nextStates[state].some(isSettled))).toEqual([])
})

test('those three are the ones for which something is still to come', () => {
  expect(states.filter((state) => !isSettled(state))).toEqual(['pending', 'uploaded', 'processing'])
})
