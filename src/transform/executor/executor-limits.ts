/** Numbers of the executor that nobody needs to configure, with what chose them. */
export const executorLimits = {
  /** A renderer that is not ready by then is taken for dead; a cold start measured 0.3 s on a busy machine. */
  startTimeoutMs: 20_000,
  /** Wait before a renderer that died while starting is started again; doubled up to the maximum. */
  restartDelayMs: 100,
  maxRestartDelayMs: 5_000,
  /** How long a render nobody waits for any more may hold its renderer; most end sooner than a new one starts. */
  abandonedGraceMs: 2_000,
  /** How often the memory of a renderer at work is looked at; in that time a decoder was seen to take 150 MB. */
  memoryWatchMs: 100,
  /** A job is given to this many renderers before its source is refused. */
  attemptsPerJob: 2,
  /** Refused sources remembered; the oldest is forgotten first. */
  refusedSources: 1_000,
  /** After a kill for memory, plans of this share of its work and more are refused: little less would kill the next renderer. */
  refusedWorkShare: 0.5,
  /** Kept from the end of a dead renderer's stderr, for the log. */
  stderrTailBytes: 2_048,
  /** Threads of a renderer that can be inside libvips or libuv work; one job needs one. */
  threadPoolSize: 2,
  /** Sanitised SVG may grow by namespace entities, but not beyond this multiple of the original plus 64 kB. */
  svgGrowth: 4,
  /** Characters of one style in an SVG; sheets of drawing programs stay below 100,000. A longer one is left out. */
  svgStyleLength: 2_000_000,
  /** Elements inside one another in an SVG. */
  svgDepth: 512,
  /** A renderer that reads a file for longer waits for a disk; 12 MB from the page cache take 3 ms, from a disk of 150 MB/s 80. */
  slowReadMs: 100,
  /** How long a renderer keeps what it decoded: a page asks for all widths of its pictures within a few seconds. */
  keptPictureMs: 10_000,
  /** Share of what a renderer may keep that originals get: they are small beside what is decoded from them. */
  originalShare: 0.25,
  /** Sources whose header and last use the front remembers, and pictures it knows to be warm in one renderer. */
  rememberedSources: 2_000,
  warmPicturesPerRenderer: 200,
  /** Share of its wait that is taken off a job's cost: at 0.25 a job is overtaken only by those that come within four times its cost. */
  agingRate: 0.25,
  /** A free renderer that leaves waiting jobs to a warm one looks again after this time. */
  secondThoughtMs: 25,
  /** A job that found the queue full is told to come back when this share of its work is done. */
  roomShare: 0.25,
  /** `Retry-After` of refused jobs stays between these. */
  minRetryAfterSeconds: 1,
  maxRetryAfterSeconds: 60,
  /** Weight of the newest render when predictions are corrected, and how far the correction may go. */
  correctionWeight: 0.1,
  maxCorrection: 20,
  /** Decoding a HEIC takes 16 bytes a pixel at its peak (measured), most of it in wasm, which no heap setting bounds: 1 GB. */
  heicMaxPixels: 64_000_000,
} as const
