/** What the disk tier remembers about its files: sizes and the order of use. Rows are a superset of the files, so nothing on disk is uncounted. */
export interface DiskIndex {
  totals(): DiskIndexTotals
  /** All changes or none; throws when the index cannot be written. */
  write(changes: readonly DiskIndexChange[]): void
  /** The least recently used rows, oldest first. */
  oldest(limit: number): readonly DiskIndexRow[]
  close(): void
}

export type DiskIndexTotals = {
  readonly entries: number
  readonly bytes: number
  /** False when files may exist without a row; the directory has to be scanned. */
  readonly complete: boolean
}

export type DiskIndexRow = {
  readonly key: string
  readonly bytes: number
  /** Unix time in microseconds; larger is more recent. */
  readonly lastUsedUs: number
}

export type DiskIndexChange =
  | ({ readonly kind: 'put' } & DiskIndexRow)
  /** From a scan: counts only when there is no row yet, as a row knows better. */
  | ({ readonly kind: 'found' } & DiskIndexRow)
  | { readonly kind: 'delete'; readonly key: string }
  /** The scan has ended: the rows are a superset of the files again. */
  | { readonly kind: 'complete' }
