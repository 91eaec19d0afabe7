import { setting } from './setting.ts'
import { postgresUrl } from './postgres-url.ts'
import { decimalNumber, wholeNumber } from './value-parsers.ts'

/** Rows of the registry: where uploads, images, keys and jobs are remembered. */
export const databaseSettings = {
  databaseUrl: setting({
    env: 'DATABASE_URL',
    group: 'database',
    meaning:
      'PostgreSQL database of the upload API, for several servers: `postgres://user:password@host:port/database`, with `?sslmode=verify-full` over a network. The caches stay on each machine.',
    value: postgresUrl(),
    default: undefined,
    defaultText: 'none: SQLite in the data dir',
    why: 'One server needs no database server; SQLite answers within microseconds.',
    secret: true,
  }),
  databaseConnections: setting({
    env: 'HALFTONE_DATABASE_CONNECTIONS',
    group: 'database',
    meaning: 'Connections to PostgreSQL that this process has at once, beside one on which it hears of changes.',
    value: wholeNumber({ min: 2, max: 500 }),
    default: '10',
    why: 'PostgreSQL allows 100 in all unless told otherwise, and a transaction takes milliseconds.',
  }),
  databaseSeconds: setting({
    env: 'HALFTONE_DATABASE_SECONDS',
    group: 'database',
    meaning: 'How long PostgreSQL may take for one statement.',
    value: decimalNumber({ min: 1, max: 3600, unit: 'seconds' }),
    default: '15',
    why: 'Requests take milliseconds; halftone doctor counts millions of rows in it.',
  }),
} as const
