import { AppError } from '../../../errors.ts'
import type { InputFormat } from '../formats.ts'
import type { ByteEdit } from '../image-facts.ts'
import type { ImageMetadata, Orientation } from '../image-metadata.ts'
import type { FileEdit } from './file-edit.ts'
import { editFile, packEdits } from './file-edit.ts'
import { findForeignContent } from './foreign-content.ts'
import { gifEdits } from './gif-edits.ts'
import { heifEdits } from './heif-edits.ts'
import { jpegEdits } from './jpeg-edits.ts'
import { pngEdits } from './png-edits.ts'
import { tiffEdits } from './tiff-edits.ts'
import { webpEdits } from './webp-edits.ts'

/** One lossless way of taking metadata for each format that is stored as it came; an SVG is written anew instead. */
const editsOf = {
  jpeg: jpegEdits,
  png: pngEdits,
  webp: webpEdits,
  gif: gifEdits,
  avif: heifEdits,
  heic: heifEdits,
  tiff: tiffEdits,
} as const satisfies Record<Exclude<InputFormat, 'svg'>, (bytes: Buffer, orientation: Orientation) => FileEdit[]>

export type StrippedFile = { readonly edits: readonly ByteEdit[]; readonly bytes: Buffer }

/**
 * The edits that leave no metadata in a file but its orientation and colour profile, and the file after them. Pixels are not
 * touched. Takes time in proportion to the file. Throws `undecodable` where the structure of the file does not hold, and
 * `type_mismatch` when the file is something else as well (an archive, a program, a page).
 */
export function stripMetadata(
  bytes: Buffer,
  { format, orientation }: { readonly format: keyof typeof editsOf } & Pick<ImageMetadata, 'orientation'>,
): StrippedFile {
  const edits = editsOf[format](bytes, orientation).filter(
    ({ start, end, bytes: written }) => !written.equals(bytes.subarray(start, end)),
  )
  const found = findForeignContent(bytes, edits)
  if (found !== undefined) {
    throw new AppError('type_mismatch', {
      detail: `The file is not only a picture (${format}): it also holds ${found}.`,
    })
  }
  return { edits: packEdits(edits), bytes: editFile(bytes, edits) }
}
