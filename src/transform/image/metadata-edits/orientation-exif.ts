import type { Orientation } from '../image-metadata.ts'

/** The smallest EXIF block there is: one directory with the orientation (EXIF 3.0, 4.6.5.1.6). */
export function orientationExif(orientation: Orientation): Buffer {
  return Buffer.from([
    ...[0x49, 0x49, 0x2a, 0, 8, 0, 0, 0],
    ...[1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0],
    ...[0, 0, 0, 0],
  ])
}
