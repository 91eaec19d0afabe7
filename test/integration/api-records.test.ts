import { afterAll, beforeAll, expect, test } from 'vitest'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const key = 'key-of-at-least-sixteen'
let halftone: RunningHalftone

beforeAll(async () => {
  halftone = await startHalftone({ HALFTONE_API_KEYS: `shop:${key}` })
})
afterAll(() => halftone.stop())

test('a request of the API is one log line that names the caller and no secret, and is counted by its route', async () => {
  const id = 'upl_00000000000000000000000000'
  const headers = { authorization: `Bearer ${key}`, 'x-request-id': 'follow-me' }
  const answer = await halftone.get(`/v1/uploads/${id}?secret=1`, headers)
  expect(answer.status).toBe(404)
  expect(answer.headers.get('x-request-id')).toBe('follow-me')
  await halftone.get('/v1/uploads/x')
  const lines = halftone.logLines.filter((line) => line['event'] === 'api_request')
  expect(lines).toMatchObject([
    {
      requestId: 'follow-me',
      method: 'GET',
      path: `/v1/uploads/${id}`,
      status: 404,
      caller: 'default/configured:shop',
    },
    { status: 401 },
  ])
  expect(lines[1]).not.toHaveProperty('caller')
  expect(JSON.stringify(lines)).not.toMatch(/secret=1|at-least/)
  const metrics = await (await halftone.get('/-/metrics')).text()
  expect(metrics).toContain(
    'halftone_api_request_duration_seconds_count{method="GET",route="/v1/uploads/:id",status="404"} 1',
  )
})
