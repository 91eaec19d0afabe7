/** `note`: told, and no fault. `difference`: database and store do not agree. `loss`: bytes that were promised are not there. */
export type Severity = 'note' | 'difference' | 'loss'

type CheckRow = {
  readonly severity: Severity
  readonly meaning: string
  /** What --fix does; undefined where only a person can decide. */
  readonly mend: string | undefined
}

/** Everything that `halftone doctor` looks for, in the order in which it is told. */
export const checks = {
  expired_pending: {
    severity: 'difference',
    meaning: 'permissions that ended long ago, and still hold quota back',
    mend: 'confirms those whose bytes came, and ends the others',
  },
  stranded: {
    severity: 'difference',
    meaning: 'confirmed uploads that no job works on',
    mend: 'gives them to the queue again',
  },
  staging_without_upload: {
    severity: 'difference',
    meaning: 'uploaded bytes that no upload knows of',
    mend: 'deletes the bytes',
  },
  staging_of_ended_upload: {
    severity: 'difference',
    meaning: 'uploaded bytes of uploads that are over',
    mend: 'deletes the bytes',
  },
  upload_without_bytes: {
    severity: 'difference',
    meaning: 'confirmed uploads whose bytes are gone before they became an image',
    mend: 'ends them as failed, and releases their quota',
  },
  open_parts: {
    severity: 'difference',
    meaning: 'uploads in parts that no upload waits for',
    mend: 'aborts them',
  },
  unfinished_object: {
    severity: 'difference',
    meaning: 'objects whose writing or deleting was broken off',
    mend: 'deletes the bytes, then the row',
  },
  object_without_version: {
    severity: 'difference',
    meaning: 'stored objects that no image refers to',
    mend: 'deletes the bytes, then the row',
  },
  object_without_row: {
    severity: 'difference',
    meaning: 'served bytes that the database does not know',
    mend: 'deletes the bytes',
  },
  object_without_bytes: {
    severity: 'difference',
    meaning: 'objects without bytes, which no image refers to',
    mend: 'deletes the row, and releases the quota',
  },
  lost_version: {
    severity: 'loss',
    meaning: 'versions of images whose bytes are not there',
    mend: undefined,
  },
  size_differs: {
    severity: 'loss',
    meaning: 'stored bytes that are more or fewer than were written',
    mend: undefined,
  },
  bytes_differ: {
    severity: 'loss',
    meaning: 'stored bytes with another SHA-256 than was written (with --deep)',
    mend: undefined,
  },
  hollow_image: {
    severity: 'difference',
    meaning: 'images that are ready without a version to serve',
    mend: 'sets their state by their versions',
  },
  usage_differs: {
    severity: 'difference',
    meaning: 'owners whose usage is not what their rows add up to',
    mend: 'counts it afresh',
  },
  bucket_cors: {
    severity: 'difference',
    meaning: 'what the CORS rules of the bucket keep the pages of HALFTONE_API_ORIGINS from',
    mend: undefined,
  },
  implausible: {
    severity: 'difference',
    meaning: 'so many unknown bytes that this may be the database of another installation, or an old copy',
    mend: 'nothing without --force',
  },
  failed_uploads: {
    severity: 'note',
    meaning: 'uploads that were given up, with their bytes; retry their jobs, or delete them',
    mend: undefined,
  },
  dead_jobs: {
    severity: 'note',
    meaning: 'jobs that were given up, kept to be looked at',
    mend: undefined,
  },
  old_records: {
    severity: 'note',
    meaning: 'records of what ended before HALFTONE_UPLOAD_RETENTION_DAYS; the server removes them by and by',
    mend: 'removes them now',
  },
} as const satisfies Record<string, CheckRow>

export type CheckName = keyof typeof checks

export type Finding = {
  readonly name: CheckName
  readonly severity: Severity
  readonly meaning: string
  readonly count: number
  /** The first few. */
  readonly examples: readonly string[]
  readonly mend: string | undefined
  readonly mended: number
}

const maxExamples = 5

/** Counts what is found, and mends it where that is asked for. */
export type Findings = {
  add(name: CheckName, example: string, mend?: () => Promise<boolean>): Promise<void>
  count(name: CheckName, many: { readonly count: number; readonly examples: readonly string[] }): void
  list(): readonly Finding[]
}

export function createFindings(isFixing: boolean, onFailed: (name: CheckName, error: unknown) => void): Findings {
  const found = new Map<CheckName, { count: number; examples: string[]; mended: number }>()
  const entryOf = (name: CheckName) => {
    const entry = found.get(name) ?? { count: 0, examples: [], mended: 0 }
    found.set(name, entry)
    return entry
  }
  return {
    async add(name, example, mend) {
      const entry = entryOf(name)
      entry.count += 1
      if (entry.examples.length < maxExamples) entry.examples.push(example)
      if (!isFixing || !mend) return
      try {
        if (await mend()) entry.mended += 1
      } catch (error) {
        // One that cannot be mended keeps nobody from mending the next.
        onFailed(name, error)
      }
    },
    count(name, { count, examples }) {
      if (count === 0) return
      const entry = entryOf(name)
      entry.count += count
      entry.examples = [...entry.examples, ...examples].slice(0, maxExamples)
    },
    list: () =>
      (Object.keys(checks) as CheckName[]).map((name) => ({
        ...{ name, ...checks[name] },
        ...(found.get(name) ?? { count: 0, examples: [], mended: 0 }),
      })),
  }
}
