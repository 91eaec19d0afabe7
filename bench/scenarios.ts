import type { Scenario } from './bench.ts'
import { cacheGrowth } from './scenarios/cache-growth.ts'
import { coldResize } from './scenarios/cold-resize.ts'
import { coldSrcset } from './scenarios/cold-srcset.ts'
import { diskHit } from './scenarios/disk-hit.ts'
import { formatMatrix } from './scenarios/format-matrix.ts'
import { hitsUnderLoad } from './scenarios/hits-under-load.ts'
import { memoryHit } from './scenarios/memory-hit.ts'
import { memorySoak } from './scenarios/memory-soak.ts'
import { overload } from './scenarios/overload.ts'
import { presign } from './scenarios/presign.ts'
import { startToFirstPicture } from './scenarios/start-to-first-picture.ts'
import { thunderingHerd } from './scenarios/thundering-herd.ts'
import { uploadMemory } from './scenarios/upload-memory.ts'
import { uploadToReady } from './scenarios/upload-to-ready.ts'

/** All scenarios, in the order they run. */
export const scenarios: readonly Scenario[] = [
  memoryHit,
  diskHit,
  coldResize,
  formatMatrix,
  coldSrcset,
  thunderingHerd,
  hitsUnderLoad,
  overload,
  cacheGrowth,
  memorySoak,
  presign,
  uploadToReady,
  uploadMemory,
  startToFirstPicture,
]
