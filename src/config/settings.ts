import {
  addressBlocks,
  corsOrigin,
  decimalNumber,
  fileSystemPath,
  hostPatterns,
  numberList,
  onOff,
  oneOf,
  plainText,
  queryString,
  signingKeys,
  tokenList,
  webOrigin,
  wholeNumber,
} from './value-parsers.ts'
import type { ValueParser } from './value-parsers.ts'

export const settingGroups = {
  server: 'Server',
  source: 'Where originals come from',
  remote: 'Originals from S3, HTTP hosts and the web',
  delivery: 'Delivery and freshness',
  signing: 'Signatures',
  rendering: 'Rendering and its limits',
  cache: 'Caches',
} as const

export type Setting<T> = {
  readonly env: string
  readonly group: keyof typeof settingGroups
  readonly meaning: string
  readonly value: ValueParser<T>
  /** As it would be written in the environment; undefined leaves the setting unset. */
  readonly default: string | undefined
  /** What the docs print where the default depends on the machine. */
  readonly defaultText?: string
  /** Why this default and no other: a measurement, a peer, a device. */
  readonly why?: string
  /** Never echoed, and `<env>_FILE` may name a file that holds it. */
  readonly secret?: true
}

function setting<T>(entry: Setting<T>): Setting<T> {
  return entry
}

/** One entry per setting; docs/configuration.md and config/example.env are printed from here. */
export const settings = {
  port: setting({
    env: 'PORT',
    group: 'server',
    meaning: 'Port to listen on; 0 takes any free one.',
    value: wholeNumber({ min: 0, max: 65535 }),
    default: '8080',
  }),
  host: setting({
    env: 'HOST',
    group: 'server',
    meaning: 'Address to listen on; 0.0.0.0 for every interface.',
    value: plainText('an IP address or a host name', /^[A-Za-z0-9.:_-]{1,255}$/),
    default: '127.0.0.1',
    why: 'A first start shows nothing to the network; the container image sets 0.0.0.0.',
  }),
  publicUrl: setting({
    env: 'HALFTONE_PUBLIC_URL',
    group: 'server',
    meaning: 'Origin in printed and generated URLs, usually that of the CDN.',
    value: webOrigin(),
    default: undefined,
    defaultText: 'the listen address',
  }),
  metricsPort: setting({
    env: 'HALFTONE_METRICS_PORT',
    group: 'server',
    meaning: 'Serves /-/metrics on a port of its own instead of the public one.',
    value: wholeNumber({ min: 1, max: 65535 }),
    default: undefined,
    defaultText: 'the main port',
  }),
  logLevel: setting({
    env: 'HALFTONE_LOG_LEVEL',
    group: 'server',
    meaning: 'The least important log line that is written.',
    value: oneOf(['silent', 'error', 'warn', 'info', 'debug']),
    default: 'info',
  }),
  maxTargetLength: setting({
    env: 'HALFTONE_MAX_TARGET_LENGTH',
    group: 'server',
    meaning: 'Longest request target (path and query); longer ones are answered 414.',
    value: wholeNumber({ min: 256, max: 16000, unit: 'characters' }),
    default: '8000',
    why: 'The limit of imgix; there are 16 kB for the headers beside it.',
  }),
  requestTimeoutSeconds: setting({
    env: 'HALFTONE_REQUEST_TIMEOUT_SECONDS',
    group: 'server',
    meaning: 'Longest life of a request, waiting in the queue included.',
    value: decimalNumber({ min: 1, max: 600, unit: 'seconds' }),
    default: '45',
    why: 'Two render deadlines (a job whose renderer died is tried once more) and a wait in the queue; CDNs wait 60 s or more.',
  }),
  stallTimeoutSeconds: setting({
    env: 'HALFTONE_STALL_TIMEOUT_SECONDS',
    group: 'server',
    meaning: 'A client that takes no byte of its answer for so long is cut off.',
    value: decimalNumber({ min: 0.1, max: 600, unit: 'seconds' }),
    default: '30',
    why: 'An answer nobody reads is memory: 60 such clients held 2.9 GB. Slow networks take some bytes within seconds.',
  }),
  shutdownTimeoutSeconds: setting({
    env: 'HALFTONE_SHUTDOWN_TIMEOUT_SECONDS',
    group: 'server',
    meaning: 'How long requests in flight may take to finish at shutdown.',
    value: decimalNumber({ min: 0, max: 600, unit: 'seconds' }),
    default: '25',
    why: 'Kubernetes kills 30 s after SIGTERM.',
  }),
  maxConnections: setting({
    env: 'HALFTONE_MAX_CONNECTIONS',
    group: 'server',
    meaning: 'Open connections at once; more are closed at once.',
    value: wholeNumber({ min: 1, max: 1000000 }),
    default: '4096',
    why: 'Far above what a CDN opens, and below the usual limits on open files.',
  }),
  retryAfterSeconds: setting({
    env: 'HALFTONE_RETRY_AFTER_SECONDS',
    group: 'server',
    meaning: 'Retry-After of answers that may succeed later (5xx).',
    value: wholeNumber({ min: 1, max: 3600, unit: 'seconds' }),
    default: '2',
    why: 'A full queue of 64 is worked off in a few seconds.',
  }),

  dataDir: setting({
    env: 'HALFTONE_DATA_DIR',
    group: 'source',
    meaning: 'Folder for everything that is written: the disk cache, later the database and uploads.',
    value: fileSystemPath('a folder that can be written; it is made when missing'),
    default: './data',
  }),
  source: setting({
    env: 'HALFTONE_SOURCE',
    group: 'source',
    meaning:
      'The one source: a folder of originals, an S3 bucket, an HTTP host, or `web` for the originals of any URL (signed). Several: HALFTONE_SOURCES_FILE.',
    value: fileSystemPath('an existing folder, s3://bucket[/prefix], https://host[/base] or web'),
    default: undefined,
    defaultText: 'the sample folder',
  }),
  sourcesFile: setting({
    env: 'HALFTONE_SOURCES_FILE',
    group: 'source',
    meaning:
      'JSON file with several sources, in place of HALFTONE_SOURCE; what it leaves out comes from the settings here.',
    value: fileSystemPath('a JSON file'),
    default: undefined,
    defaultText: 'none',
  }),
  presetsFile: setting({
    env: 'HALFTONE_PRESETS_FILE',
    group: 'source',
    meaning: 'JSON file of named params: {"card": "w=400&h=300&fit=crop"}.',
    value: fileSystemPath('a JSON file'),
    default: undefined,
    defaultText: 'config/presets.json of the package',
  }),
  visibility: setting({
    env: 'HALFTONE_VISIBILITY',
    group: 'source',
    meaning: 'Whether anybody may see the images of the source, or only holders of a signed URL.',
    value: oneOf(['public', 'private']),
    default: 'public',
  }),
  defaultParams: setting({
    env: 'HALFTONE_DEFAULT_PARAMS',
    group: 'source',
    meaning: 'Params that apply wherever the URL does not say otherwise.',
    value: queryString(),
    default: undefined,
    defaultText: 'none',
  }),
  strict: setting({
    env: 'HALFTONE_STRICT',
    group: 'source',
    meaning: 'Answers bad param values with 400 instead of ignoring them as imgix does.',
    value: onOff(),
    default: 'false',
  }),
  variants: setting({
    env: 'HALFTONE_VARIANTS',
    group: 'source',
    meaning:
      'Which variants may be asked for: any (`exact`), those that a ladder for every parameter leaves (`snap`), or `presets-only`. Signed URLs are always exact.',
    value: oneOf(['exact', 'snap', 'presets-only']),
    default: 'exact',
  }),
  snapWidths: setting({
    env: 'HALFTONE_SNAP_WIDTHS',
    group: 'source',
    meaning: 'The ladder of widths for HALFTONE_VARIANTS=snap.',
    value: numberList({ min: 1, max: 8192, unit: 'px' }),
    default:
      '100,116,135,156,181,210,244,283,328,380,441,512,594,689,799,927,1075,1247,1446,1678,1946,2257,2619,3038,3524,4087,4741,5500,6380,7401,8192',
    why: 'The srcset widths of the imgix clients, whose URLs then never move.',
  }),
  snapQualities: setting({
    env: 'HALFTONE_SNAP_QUALITIES',
    group: 'source',
    meaning: 'The ladder of qualities for HALFTONE_VARIANTS=snap.',
    value: numberList({ min: 0, max: 100 }),
    default: '20,23,35,50,60,75,90',
    why: 'The variable qualities of the imgix clients (75,50,35,23,20) and two more.',
  }),
  maxOriginalMB: setting({
    env: 'HALFTONE_MAX_ORIGINAL_MB',
    group: 'source',
    meaning: 'Largest original in bytes; larger ones are answered 413.',
    value: decimalNumber({ min: 0.001, max: 2000, unit: 'MB (1000000 bytes)' }),
    default: '50',
    why: 'What peers allow.',
  }),
  sourceTimeoutSeconds: setting({
    env: 'HALFTONE_SOURCE_TIMEOUT_SECONDS',
    group: 'source',
    meaning: 'How long reading an original may take before it is a 504.',
    value: decimalNumber({ min: 0.1, max: 300, unit: 'seconds' }),
    default: '7',
    why: 'The fetch limit of Next; a disk that needs longer is not answering.',
  }),
  sourceStateSeconds: setting({
    env: 'HALFTONE_SOURCE_STATE_SECONDS',
    group: 'source',
    meaning: 'How long the state of an original is believed: a changed file is seen after at most this time.',
    value: decimalNumber({ min: 0, max: 86400, unit: 'seconds' }),
    default: '2',
    why: 'Seen within seconds, yet one stat serves thousands of hits.',
  }),
  sourceStateEntries: setting({
    env: 'HALFTONE_SOURCE_STATE_ENTRIES',
    group: 'source',
    meaning: 'How many originals have their state remembered, missing ones included.',
    value: wholeNumber({ min: 1, max: 10000000 }),
    default: '50000',
    why: 'At most 1 kB each, however long the paths: some 40 MB when full.',
  }),

  allowHosts: setting({
    env: 'HALFTONE_ALLOW_HOSTS',
    group: 'remote',
    meaning:
      'For HALFTONE_SOURCE=web: hosts that originals may come from. `*` is one label, a leading `**` one or more.',
    value: hostPatterns(),
    default: undefined,
    defaultText: 'every public host',
  }),
  allowAddresses: setting({
    env: 'HALFTONE_ALLOW_ADDRESSES',
    group: 'remote',
    meaning:
      'Private and special addresses that HTTP and web sources may connect to all the same. S3 endpoints are not affected.',
    value: addressBlocks(),
    default: undefined,
    defaultText: 'none: addresses of the public internet only',
  }),
  s3Endpoint: setting({
    env: 'S3_ENDPOINT',
    group: 'remote',
    meaning: 'Endpoint of S3 sources that name none.',
    value: webOrigin(),
    default: undefined,
    defaultText: 'AWS',
  }),
  s3Region: setting({
    env: 'S3_REGION',
    group: 'remote',
    meaning: 'Region of S3 sources that name none.',
    value: plainText('a region such as eu-central-1', /^[a-z0-9-]{1,63}$/),
    default: undefined,
    defaultText: 'AWS_REGION, or us-east-1 with an endpoint',
  }),
  s3ForcePathStyle: setting({
    env: 'S3_FORCE_PATH_STYLE',
    group: 'remote',
    meaning: 'Puts the bucket into the path instead of the host name; most stores other than AWS need it.',
    value: onOff(),
    default: 'false',
  }),
  connectSeconds: setting({
    env: 'HALFTONE_SOURCE_CONNECT_SECONDS',
    group: 'remote',
    meaning: 'How long name lookup, connecting and TLS may take.',
    value: decimalNumber({ min: 0.05, max: 60, unit: 'seconds' }),
    default: '3',
    why: 'Room for one lost SYN (retried after 1 s) and a far origin.',
  }),
  firstByteSeconds: setting({
    env: 'HALFTONE_SOURCE_FIRST_BYTE_SECONDS',
    group: 'remote',
    meaning: 'How long a source may take to begin its answer.',
    value: decimalNumber({ min: 0.05, max: 300, unit: 'seconds' }),
    default: '5',
    why: 'Below the total, so that the log tells which of the two it was.',
  }),
  idleSeconds: setting({
    env: 'HALFTONE_SOURCE_IDLE_SECONDS',
    group: 'remote',
    meaning:
      'Longest silence in the middle of an original. The whole fetch is bounded by HALFTONE_SOURCE_TIMEOUT_SECONDS.',
    value: decimalNumber({ min: 0.05, max: 300, unit: 'seconds' }),
    default: '3',
    why: 'As long as connecting: a path that is silent for longer is lost.',
  }),
  maxRedirects: setting({
    env: 'HALFTONE_SOURCE_REDIRECTS',
    group: 'remote',
    meaning: 'Redirects followed for one original; each is checked like a first URL.',
    value: wholeNumber({ min: 0, max: 20 }),
    default: '3',
    why: 'http to https, to www, to the CDN.',
  }),
  minFreshSeconds: setting({
    env: 'HALFTONE_MIN_FRESH_SECONDS',
    group: 'remote',
    meaning: 'An original is believed at least this long, whatever its origin says.',
    value: wholeNumber({ min: 0, max: 31536000, unit: 'seconds' }),
    default: '60',
    why: 'Keeps an origin that says no-cache from being asked for every variant; a change is seen within a minute.',
  }),
  maxFreshSeconds: setting({
    env: 'HALFTONE_MAX_FRESH_SECONDS',
    group: 'remote',
    meaning: 'An original is believed at most this long.',
    value: wholeNumber({ min: 0, max: 31536000, unit: 'seconds' }),
    default: '86400',
    why: 'A revalidation a day is nothing, and a picture replaced in spite of a year of max-age is seen the next day.',
  }),
  staleIfErrorSeconds: setting({
    env: 'HALFTONE_STALE_IF_ERROR_SECONDS',
    group: 'remote',
    meaning: 'How long an original is served beyond its freshness while its origin is down.',
    value: wholeNumber({ min: 0, max: 31536000, unit: 'seconds' }),
    default: '604800',
    why: 'A week: longer than any outage that somebody looks at.',
  }),
  negativeSeconds: setting({
    env: 'HALFTONE_NEGATIVE_SECONDS',
    group: 'remote',
    meaning: 'How long is remembered that a source has no such original, or refuses it.',
    value: wholeNumber({ min: 0, max: 86400, unit: 'seconds' }),
    default: '30',
    why: 'With the source state and errors at the CDN (60 s) a new file is seen within two minutes.',
  }),
  fetches: setting({
    env: 'HALFTONE_FETCHES',
    group: 'remote',
    meaning: 'Originals fetched at once from all remote sources; each may hold HALFTONE_MAX_ORIGINAL_MB in memory.',
    value: wholeNumber({ min: 1, max: 10000 }),
    default: '32',
    why: 'At 5 MB an original 160 MB; far more than two renderers use up.',
  }),
  sourceFetches: setting({
    env: 'HALFTONE_SOURCE_FETCHES',
    group: 'remote',
    meaning: 'Originals fetched at once from one source, so that a slow one leaves room for the others.',
    value: wholeNumber({ min: 1, max: 10000 }),
    default: '16',
    why: 'Half of all.',
  }),
  fetchQueue: setting({
    env: 'HALFTONE_FETCH_QUEUE',
    group: 'remote',
    meaning: 'Fetches that may wait for their turn; one more is answered 503.',
    value: wholeNumber({ min: 0, max: 100000 }),
    default: '256',
    why: 'At 100 ms a fetch, 32 at once work it off within a second.',
  }),

  maxAgeSeconds: setting({
    env: 'HALFTONE_MAX_AGE_SECONDS',
    group: 'delivery',
    meaning: 'Cache-Control max-age of images whose bytes may change.',
    value: wholeNumber({ min: 0, max: 31536000, unit: 'seconds' }),
    default: '3600',
    why: 'A revalidation is a 304 without rendering, so an hour is cheap; 60 s made users of Next pay (next#84105).',
  }),
  staleWhileRevalidateSeconds: setting({
    env: 'HALFTONE_STALE_WHILE_REVALIDATE_SECONDS',
    group: 'delivery',
    meaning: 'How long a CDN may still serve a stale image while it asks again.',
    value: wholeNumber({ min: 0, max: 31536000, unit: 'seconds' }),
    default: '86400',
    why: 'A day: nobody waits for a revalidation of anything that is asked for daily.',
  }),
  immutable: setting({
    env: 'HALFTONE_IMMUTABLE',
    group: 'delivery',
    meaning: 'Says that the bytes behind a path never change: images are kept for a year.',
    value: onOff(),
    default: 'false',
  }),
  errorMaxAgeSeconds: setting({
    env: 'HALFTONE_ERROR_MAX_AGE_SECONDS',
    group: 'delivery',
    meaning: 'Cache-Control max-age of errors that stay (4xx); those that may pass are never stored.',
    value: wholeNumber({ min: 0, max: 86400, unit: 'seconds' }),
    default: '60',
    why: 'Long enough to absorb a broken page, short enough for a file that arrives late.',
  }),
  corsOrigin: setting({
    env: 'HALFTONE_CORS_ORIGIN',
    group: 'delivery',
    meaning: 'Access-Control-Allow-Origin of images.',
    value: corsOrigin(),
    default: '*',
    why: 'As imgix: pictures carry no credentials.',
  }),

  signingKeys: setting({
    env: 'HALFTONE_SIGNING_KEYS',
    group: 'signing',
    meaning: 'Keys of native signatures: the first signs, all verify.',
    value: signingKeys(),
    default: undefined,
    defaultText: 'none',
    secret: true,
  }),
  imgixTokens: setting({
    env: 'HALFTONE_IMGIX_TOKENS',
    group: 'signing',
    meaning: 'imgix secure-URL tokens to accept as s=.',
    value: tokenList(),
    default: undefined,
    defaultText: 'none',
    secret: true,
  }),
  signed: setting({
    env: 'HALFTONE_SIGNED',
    group: 'signing',
    meaning: 'What must be signed: private images only, or every image.',
    value: oneOf(['private', 'always']),
    default: 'private',
  }),

  renderers: setting({
    env: 'HALFTONE_RENDERERS',
    group: 'rendering',
    meaning: 'Renderer processes; each renders one picture at a time on one thread.',
    value: wholeNumber({ min: 1, max: 256 }),
    default: undefined,
    defaultText: 'the number of cores',
    why: 'Rendering is bound by the processor: more would only share it.',
  }),
  originalsInFlightMB: setting({
    env: 'HALFTONE_ORIGINALS_IN_FLIGHT_MB',
    group: 'rendering',
    meaning:
      'Memory of all originals that are being read, wait for a renderer or are rendered; a miss beyond it is answered 503.',
    value: wholeNumber({ min: 1, max: 1000000, unit: 'MB (1000000 bytes)' }),
    default: '256',
    why: 'A full queue of 4 MB photographs; without it, a hundred misses of large originals took 3.5 GB.',
  }),
  queueLength: setting({
    env: 'HALFTONE_QUEUE_LENGTH',
    group: 'rendering',
    meaning: 'Renders that may wait for a renderer; one more is answered 503.',
    value: wholeNumber({ min: 0, max: 100000 }),
    default: '64',
    why: 'At about 200 ms a render, two renderers work it off in 6 s, well within the request timeout.',
  }),
  renderDeadlineSeconds: setting({
    env: 'HALFTONE_RENDER_DEADLINE_SECONDS',
    group: 'rendering',
    meaning: 'How long one render may take before its renderer is killed.',
    value: decimalNumber({ min: 0.1, max: 300, unit: 'seconds' }),
    default: '15',
    why: 'HEIC is the slowest to decode: 2 s for 12 megapixels, so some 8 s for 50. Encoding stays below 1 s with the defaults here.',
  }),
  sharedDecodeMB: setting({
    env: 'HALFTONE_SHARED_DECODE_MB',
    group: 'rendering',
    meaning:
      'Memory in each renderer for recent originals and their decoded pictures, which further variants start from; 0 switches it off.',
    value: wholeNumber({ min: 0, max: 4096, unit: 'MB (1000000 bytes)' }),
    default: '128',
    why: 'A whole 16-megapixel photograph with what eight widths are made from takes 92 MB; it is kept for 10 s.',
  }),
  rendererMemoryMB: setting({
    env: 'HALFTONE_RENDERER_MEMORY_MB',
    group: 'rendering',
    meaning: 'Resident memory above which a renderer is replaced after its job.',
    value: wholeNumber({ min: 64, max: 65536, unit: 'MB' }),
    default: '512',
    why: 'Four renders at once peaked at 264 MB with jemalloc and 387 without; above this it is leaking or fragmented.',
  }),
  rendererNiceness: setting({
    env: 'HALFTONE_RENDERER_NICENESS',
    group: 'rendering',
    meaning: 'OS niceness of renderers: the higher, the more they give way to hits.',
    value: wholeNumber({ min: 0, max: 19 }),
    default: '10',
    why: 'Weighs a tenth of the front on a contended core, and nothing on a free one.',
  }),
  jemalloc: setting({
    env: 'HALFTONE_JEMALLOC',
    group: 'rendering',
    meaning: 'Whether renderers use jemalloc where it is installed.',
    value: oneOf(['auto', 'off']),
    default: 'auto',
    why: '89 MB at rest instead of 330 after 300 renders (jemalloc with decay against glibc).',
  }),
  refuseSeconds: setting({
    env: 'HALFTONE_REFUSE_SECONDS',
    group: 'rendering',
    meaning: 'How long an original that killed two renderers is refused.',
    value: wholeNumber({ min: 0, max: 86400, unit: 'seconds' }),
    default: '600',
    why: 'A hostile file costs two renderers every ten minutes at most; a mended file has a new version and is tried at once.',
  }),
  maxMegapixels: setting({
    env: 'HALFTONE_MAX_MEGAPIXELS',
    group: 'rendering',
    meaning: 'Largest original in pixels, read from its header before decoding.',
    value: decimalNumber({ min: 0.01, max: 1000, unit: 'megapixels (1000000 pixels)' }),
    default: '120',
    why: "Peers' 50 refuses today's phones: 8160 x 6144 is 50.1, 12000 x 9000 is 108. Deadline and memory ceiling contain the rest.",
  }),
  maxFrames: setting({
    env: 'HALFTONE_MAX_FRAMES',
    group: 'rendering',
    meaning: 'Most frames of an animated original.',
    value: wholeNumber({ min: 1, max: 10000 }),
    default: '256',
    why: 'The upper end of what peers allow (100 to 256).',
  }),
  maxOutputSide: setting({
    env: 'HALFTONE_MAX_OUTPUT_SIDE',
    group: 'rendering',
    meaning: 'Longest side of a rendered image; larger results are scaled down to fit.',
    value: wholeNumber({ min: 16, max: 8192, unit: 'px' }),
    default: '8192',
    why: 'The cap of imgix.',
  }),
  avifMaxMegapixels: setting({
    env: 'HALFTONE_AVIF_MAX_MEGAPIXELS',
    group: 'rendering',
    meaning: 'Above this output size AVIF gives way to WebP.',
    value: decimalNumber({ min: 0, max: 67.2, unit: 'megapixels (1000000 pixels)' }),
    default: '2.1',
    why: 'Just covers 1920 x 1080; 1600 x 1200 takes 371 ms against 271 for WebP, and the gap grows with the area.',
  }),
  avifEffort: setting({
    env: 'HALFTONE_AVIF_EFFORT',
    group: 'rendering',
    meaning: 'Encoder effort of AVIF.',
    value: wholeNumber({ min: 0, max: 9 }),
    default: '0',
    why: 'Effort 1 takes three times the encoding for 5 % of the bytes (docs/quality.md), effort 4 twenty times for 10 %.',
  }),
  webpEffort: setting({
    env: 'HALFTONE_WEBP_EFFORT',
    group: 'rendering',
    meaning: 'Encoder effort of WebP.',
    value: wholeNumber({ min: 0, max: 6 }),
    default: '2',
    why: 'Within 8 % of the bytes of effort 4 at 70 % of its time.',
  }),
  mozjpeg: setting({
    env: 'HALFTONE_MOZJPEG',
    group: 'rendering',
    meaning: 'Whether JPEG is written with the settings of mozjpeg.',
    value: onOff(),
    default: 'false',
    why: 'At equal SSIM it saves no bytes from q 45 up and costs five times the encoding (docs/quality.md); it is smaller at equal q only because it looks worse.',
  }),

  memoryCacheMB: setting({
    env: 'HALFTONE_MEMORY_CACHE_MB',
    group: 'cache',
    meaning: 'Size of the memory tier; 0 turns it off.',
    value: wholeNumber({ min: 0, max: 1000000, unit: 'MB (1048576 bytes)' }),
    default: '256',
    why: 'Some ten thousand pictures of 25 kB.',
  }),
  diskCacheMB: setting({
    env: 'HALFTONE_DISK_CACHE_MB',
    group: 'cache',
    meaning: 'Size of the disk tier; 0 turns it off.',
    value: wholeNumber({ min: 0, max: 100000000, unit: 'MB (1048576 bytes)' }),
    default: '10240',
    why: 'About 400,000 pictures of 25 kB.',
  }),
  hotEntries: setting({
    env: 'HALFTONE_HOT_ENTRIES',
    group: 'cache',
    meaning: 'How many URLs have a prebuilt answer for repeat hits, per kind of client; 0 switches the hot lane off.',
    value: wholeNumber({ min: 0, max: 1000000 }),
    default: '10000',
    why: 'About 3 kB each beside the picture, which stays in the memory tier alone: 30 MB when full.',
  }),
  originalCacheMB: setting({
    env: 'HALFTONE_ORIGINAL_CACHE_MB',
    group: 'cache',
    meaning: 'Disk space for originals of remote sources; at least eight times HALFTONE_MAX_ORIGINAL_MB.',
    value: wholeNumber({ min: 1, max: 100000000, unit: 'MB (1048576 bytes)' }),
    default: '4096',
    why: 'About a thousand originals of 4 MB; one that was evicted costs a fetch, and only for a new variant.',
  }),
  cacheEpoch: setting({
    env: 'HALFTONE_CACHE_EPOCH',
    group: 'cache',
    meaning: 'Another number forgets every stored result.',
    value: wholeNumber({ min: 0, max: 1000000000 }),
    default: '1',
  }),
} as const

export type Settings = typeof settings

/** The parsed value of every setting; undefined only where there is no default. */
export type SettingValues = {
  readonly [K in keyof Settings]: Settings[K] extends Setting<infer T> ? T | undefined : never
}

/** Settings that are promised but not there yet: refused, because ignoring a key or a limit in silence would be worse. */
export const laterSettings: readonly { readonly pattern: RegExp; readonly brings: string }[] = [
  { pattern: /^HALFTONE_API_KEYS(_FILE)?$/, brings: 'the upload and management API' },
  { pattern: /^HALFTONE_JWT_[A-Z_]+$/, brings: 'the upload and management API' },
  { pattern: /^HALFTONE_UPLOADS$/, brings: 'uploads' },
]

/** Names of other programs too, so they are no fault; but whoever sets them should know that nothing reads them yet. */
export const laterSharedSettings = ['REDIS_URL', 'DATABASE_URL'] as const

export type SettingDescription = {
  readonly env: string
  readonly group: string
  readonly meaning: string
  readonly expected: string
  readonly default: string
  readonly why: string | undefined
  readonly secret: boolean
}

/** The registry as plain rows, for docs and `--help`. */
export function describeSettings(): SettingDescription[] {
  return Object.values(settings).map((entry: Setting<unknown>) => ({
    env: entry.env,
    group: settingGroups[entry.group],
    meaning: entry.meaning,
    expected: entry.value.expected,
    default: entry.default ?? entry.defaultText ?? 'none',
    why: entry.why,
    secret: entry.secret === true,
  }))
}
