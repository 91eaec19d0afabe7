/** Seeded lattice noise: the same seed gives the same picture on every machine. */
export type Noise = {
  /** Smooth value noise, about -1..1, period 256 in both axes. */
  at(x: number, y: number): number
  /** Fractal sum of `octaves` layers, about -1..1. */
  fractal(x: number, y: number, octaves: number): number
  /** Ridged fractal sum, 0..1, sharp crests: rock and mountain lines. */
  ridged(x: number, y: number, octaves: number): number
}

const SIDE = 256
const MASK = SIDE - 1

/** Numbers in 0..1, one after another (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export function createNoise(seed: number): Noise {
  const random = createRandom(seed)
  const lattice = new Float64Array(SIDE * SIDE).map(() => random() * 2 - 1)

  function at(x: number, y: number): number {
    const x0 = Math.floor(x)
    const y0 = Math.floor(y)
    const fx = x - x0
    const fy = y - y0
    const sx = fx * fx * (3 - 2 * fx)
    const sy = fy * fy * (3 - 2 * fy)
    const left = x0 & MASK
    const right = (x0 + 1) & MASK
    const top = (y0 & MASK) * SIDE
    const bottom = ((y0 + 1) & MASK) * SIDE
    const upper = lattice[top + left]! + (lattice[top + right]! - lattice[top + left]!) * sx
    const lower = lattice[bottom + left]! + (lattice[bottom + right]! - lattice[bottom + left]!) * sx
    return upper + (lower - upper) * sy
  }

  // Two loops instead of one with a callback: this is the innermost code of every picture.
  function fractal(x: number, y: number, octaves: number): number {
    let total = 0
    let amplitude = 0.5
    let scale = 1
    for (let octave = 0; octave < octaves; octave++) {
      // The offset keeps lattice points of different octaves apart, else crosses show.
      total += amplitude * at(x * scale + octave * 17.3, y * scale + octave * 9.7)
      amplitude *= 0.5
      scale *= 2.03
    }
    return total
  }

  function ridged(x: number, y: number, octaves: number): number {
    let total = 0
    let amplitude = 0.5
    let scale = 1
    for (let octave = 0; octave < octaves; octave++) {
      total += amplitude * (1 - Math.abs(at(x * scale + octave * 17.3, y * scale + octave * 9.7)))
      amplitude *= 0.5
      scale *= 2.03
    }
    return total
  }

  return { at, fractal, ridged }
}
