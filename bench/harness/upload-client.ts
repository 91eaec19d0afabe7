import { request } from 'node:http'
import type { Running } from './start-process.ts'

/** Limits out of the way: how often one key may call says nothing about how fast it is answered. */
export const uploadSettings = {
  HALFTONE_UPLOADS: 'disk',
  HALFTONE_API_REQUESTS_PER_MINUTE: '10000000',
  HALFTONE_UPLOADS_PER_MINUTE_OWNER: '1000000',
  HALFTONE_UPLOAD_QUOTA_OPEN: '10000000',
} as const

export const apiKey = 'a-key-for-the-benchmark'
export const authorization = (key: string) => ({ authorization: `Bearer ${key}` })

type Permission = { readonly url: string; readonly headers: Readonly<Record<string, string>> }
export type Presigned = { readonly id: string; readonly state: string; readonly upload: Permission }

/** Throws when the answer is none of 2xx. */
export async function callApi<Answer>(
  server: Running,
  path: string,
  { key, body, headers }: { key: string; body?: object; headers?: Readonly<Record<string, string>> },
): Promise<Answer> {
  const response = await fetch(`${server.origin}${path}`, {
    method: 'POST',
    headers: { ...authorization(key), ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Answer
}

/** The signed PUT, to the server's own address whatever name it gave itself. */
export function putBytes(server: Running, { url, headers }: Permission, bytes: Buffer): Promise<void> {
  const { pathname, search } = new URL(url)
  return new Promise((resolve, reject) => {
    const put = request(
      `${server.origin}${pathname}${search}`,
      { method: 'PUT', headers, agent: false },
      (response) => {
        response.resume()
        response.once('end', () => {
          if (response.statusCode === 200) resolve()
          else reject(new Error(`the PUT was answered ${response.statusCode ?? 0}`))
        })
      },
    )
    put.once('error', reject)
    put.end(bytes)
  })
}
