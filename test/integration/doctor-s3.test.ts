import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CreateBucketCommand,
  PutBucketCorsCommand,
  PutObjectCommand,
  S3Client,
  type CORSRule,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hasS3Server, startS3Server, type S3Server } from '../helpers/s3-server.ts'
import { runHalftone, type Ran } from '../helpers/run-halftone.ts'

if (!hasS3Server) console.log('skipped: no S3 server here (apt-get install radosgw ceph-mon ceph-osd ceph-common)')

let server: S3Server
let client: S3Client
let dataDir: string
beforeAll(async () => {
  if (!hasS3Server) return
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-doctor-'))
  server = await startS3Server()
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } })
  await client.send(new CreateBucketCommand({ Bucket: 'uploads' }))
  await client.send(new PutObjectCommand({ Bucket: 'uploads', Key: 'another/application', Body: 'creates the pools' }))
}, 120_000)
afterAll(async () => {
  client?.destroy()
  await server?.close()
  if (hasS3Server) rmSync(dataDir, { recursive: true, force: true })
})

type Report = {
  ok: boolean
  findings?: { name: string; count: number }[]
  corsRule?: { CORSRules: CORSRule[] }
}

function halftone(...args: string[]): Promise<Ran> {
  return runHalftone(args, {
    ...{ HALFTONE_SOURCE: dataDir, HALFTONE_DATA_DIR: dataDir, HALFTONE_UPLOADS: 's3://uploads' },
    ...{ S3_ENDPOINT: server.endpoint, S3_REGION: server.region, S3_FORCE_PATH_STYLE: 'true' },
    ...{ AWS_ACCESS_KEY_ID: server.accessKeyId, AWS_SECRET_ACCESS_KEY: server.secretAccessKey },
    HALFTONE_API_ORIGINS: 'https://app.example',
  })
}

test.skipIf(!hasS3Server)('the rule that a bucket lacks is printed, and with it all is well', async () => {
  await halftone('migrate')
  const lacking = await halftone('doctor', '--json')
  const report = JSON.parse(lacking.stdout) as Report
  expect(lacking.code).toBe(1)
  expect(report.findings?.filter(({ count }) => count > 0).map(({ name }) => name)).toEqual(['bucket_cors'])
  const CORSConfiguration = { CORSRules: report.corsRule?.CORSRules ?? [] }
  await client.send(new PutBucketCorsCommand({ Bucket: 'uploads', CORSConfiguration }))
  expect(await halftone('doctor')).toMatchObject({ code: 0, stdout: expect.stringContaining('All is well') as string })
})
