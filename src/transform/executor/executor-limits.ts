/** Numbers of the executor that nobody needs to configure, with what chose them. */
export const executorLimits = {
  /** A renderer that is not ready by then is taken for dead; a cold start measured 0.3 s on a busy machine. */
  startTimeoutMs: 20_000,
  /** Wait before a renderer that died while starting is started again; doubled up to the maximum. */
  restartDelayMs: 100,
  maxRestartDelayMs: 5_000,
  /** How long a render nobody waits for any more may hold its renderer; most end sooner than a new one starts. */
  abandonedGraceMs: 2_000,
  /** A job is given to this many renderers before its source is refused. */
  attemptsPerJob: 2,
  /** Refused sources remembered; the oldest is forgotten first. */
  refusedSources: 1_000,
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
  /** Decoding a HEIC takes 16 bytes a pixel at its peak (measured), most of it in wasm, which no heap setting bounds: 1 GB. */
  heicMaxPixels: 64_000_000,
} as const
