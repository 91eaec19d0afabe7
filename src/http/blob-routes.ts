import type { IncomingHttpHeaders } from 'node:http'
import { Router, type Request, type Response } from 'express'
import { AppError } from '../errors.ts'
import type { BlobDoor } from '../uploads/targets/blob-door.ts'
import type { BlobPermission } from '../uploads/targets/blob-permission.ts'
import { blobsPath } from '../uploads/targets/disk-target.ts'
import { permissionHeaders } from '../uploads/targets/permission-headers.ts'
import { readUploadForm } from './upload-form.ts'
import { receiveBody, type BodyLimits } from './receive-body.ts'

export type BlobRoutesDeps = { readonly door: BlobDoor; readonly limits: BodyLimits }

/**
 * Where the disk target takes bytes, as an S3 bucket would: `PUT /v1/blobs/<key>?…&sig=…` and `POST /v1/blobs` with a signed
 * form. Nothing here parses or holds a body. Errors go to the application's error handler.
 */
export function createBlobRoutes({ door, limits }: BlobRoutesDeps): Router {
  const router = Router()
  router.put(`${blobsPath}/*key`, async (request, response) => {
    const etag = await receiveBody(request, response, limits, async (bytes, signal) => {
      const permission = await door.admit({
        method: 'PUT',
        key: request.path.slice(blobsPath.length + 1),
        fields: fieldsOf(request),
      })
      assertHeaders(request.headers, permission)
      return (await door.receive(permission, bytes, signal)).etag
    })
    answer(response, 200, etag)
  })
  router.post(blobsPath, async (request, response) => {
    const etag = await receiveBody(request, response, limits, (bytes, signal) =>
      readUploadForm(request.headers, bytes, signal, async (fields, file, ended) => {
        const { key = '', ...conditions } = Object.fromEntries(fields)
        const permission = await door.admit({ method: 'POST', key, fields: new Map(Object.entries(conditions)) })
        return (await door.receive(permission, file, ended)).etag
      }),
    )
    answer(response, 204, etag)
  })
  return router
}

/** undefined: the client has gone. */
function answer(response: Response, status: number, etag: string | undefined): void {
  if (etag !== undefined) response.status(status).set({ ETag: etag, 'Cache-Control': 'no-store' }).end()
}

function fieldsOf(request: Request): ReadonlyMap<string, string> {
  const { searchParams } = new URL(request.originalUrl, 'http://localhost')
  const fields = new Map(searchParams)
  if (fields.size !== searchParams.size) throw new AppError('signature_invalid')
  return fields
}

/** As S3 does: the headers of the permission are part of what was signed. */
function assertHeaders(headers: IncomingHttpHeaders, permission: BlobPermission): void {
  const { byteLength, contentType } = permission
  const length = headers['content-length']
  if (Number(length) > byteLength) {
    throw new AppError('too_large', { detail: `Expected ${byteLength} bytes, got ${length}.` })
  }
  if (Number(length) !== byteLength) {
    throw new AppError('size_mismatch', { detail: `Content-Length: expected ${byteLength}, got ${length ?? 'none'}.` })
  }
  if (contentType === undefined) return
  if (headers['content-type'] !== contentType) {
    const received = headers['content-type'] ?? 'none'
    throw new AppError('type_mismatch', { detail: `Content-Type: expected ${contentType}, got ${received}.` })
  }
  const wanted = permissionHeaders({ ...permission, contentType })
  for (const name of ['if-none-match', 'x-amz-checksum-sha256'] as const) {
    if (headers[name] === wanted[name]) continue
    throw new AppError('signature_invalid', { detail: `${name}: expected what was signed, "${wanted[name] ?? ''}".` })
  }
}
