/** One channel of 8-bit samples as numbers. */
export type Plane = { readonly width: number; readonly height: number; readonly samples: Float64Array }

/** Side and step of the windows; small steps cost time and change the mean in the fourth place only. */
const windowSide = 8
const windowStep = 4
const c1 = (0.01 * 255) ** 2
const c2 = (0.03 * 255) ** 2
/** Weights of the five scales (Wang, Simoncelli, Bovik 2003, table 1). */
const scaleWeights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333] as const

/** BT.601 luma of interleaved RGB. */
export function lumaPlane(rgb: Uint8Array, width: number, height: number): Plane {
  const samples = new Float64Array(width * height)
  for (let at = 0; at < samples.length; at++) {
    samples[at] = 0.299 * rgb[at * 3]! + 0.587 * rgb[at * 3 + 1]! + 0.114 * rgb[at * 3 + 2]!
  }
  return { width, height, samples }
}

/** Mean SSIM (Wang et al. 2004) and its contrast-structure part over uniform windows. */
export function similarity(a: Plane, b: Plane): { readonly ssim: number; readonly structure: number } {
  let ssim = 0
  let structure = 0
  let windows = 0
  for (let top = 0; top + windowSide <= a.height; top += windowStep) {
    for (let left = 0; left + windowSide <= a.width; left += windowStep) {
      const part = windowSimilarity(a, b, top * a.width + left)
      ssim += part.ssim
      structure += part.structure
      windows++
    }
  }
  return { ssim: ssim / windows, structure: structure / windows }
}

/** MS-SSIM: the structure of five scales, the luminance of the coarsest; nearer to what is seen at a distance. */
export function multiScaleSimilarity(a: Plane, b: Plane): number {
  let product = 1
  let [first, second] = [a, b]
  for (const [scale, weight] of scaleWeights.entries()) {
    const { ssim, structure } = similarity(first, second)
    product *= Math.max(0, scale === scaleWeights.length - 1 ? ssim : structure) ** weight
    ;[first, second] = [halved(first), halved(second)]
  }
  return product
}

function windowSimilarity(a: Plane, b: Plane, start: number) {
  const count = windowSide * windowSide
  let [sumA, sumB, sumAA, sumBB, sumAB] = [0, 0, 0, 0, 0]
  for (let y = 0; y < windowSide; y++) {
    for (let at = start + y * a.width, end = at + windowSide; at < end; at++) {
      const [x, z] = [a.samples[at]!, b.samples[at]!]
      sumA += x
      sumB += z
      sumAA += x * x
      sumBB += z * z
      sumAB += x * z
    }
  }
  const [meanA, meanB] = [sumA / count, sumB / count]
  const spread = (sumAA + sumBB) / count - meanA * meanA - meanB * meanB
  const shared = sumAB / count - meanA * meanB
  const structure = (2 * shared + c2) / (spread + c2)
  return { structure, ssim: (structure * (2 * meanA * meanB + c1)) / (meanA * meanA + meanB * meanB + c1) }
}

function halved({ width, height, samples }: Plane): Plane {
  const half = { width: width >> 1, height: height >> 1, samples: new Float64Array((width >> 1) * (height >> 1)) }
  for (let y = 0; y < half.height; y++) {
    for (let x = 0; x < half.width; x++) {
      const at = y * 2 * width + x * 2
      const sum = samples[at]! + samples[at + 1]! + samples[at + width]! + samples[at + width + 1]!
      half.samples[y * half.width + x] = sum / 4
    }
  }
  return half
}
