import sharp from 'sharp'
import { createNoise, createRandom } from './noise.ts'
import type { Noise } from './noise.ts'
import { clamp01, createRamp, createRaster, developFilm, mix, rasterOf, sharpOf, smoothstep } from './raster.ts'
import type { Raster } from './raster.ts'

const nightRamp = createRamp([
  [0, [9, 16, 42]],
  [0.4, [22, 44, 92]],
  [0.72, [52, 98, 142]],
  [0.9, [146, 152, 158]],
  [1, [238, 176, 128]],
])

const HORIZON = 0.74

/** A lighthouse in the blue hour, upright: nobody can mistake which way is up. */
export async function drawLighthouse(width: number, height: number): Promise<Raster> {
  const ground = createRaster(width, height)
  const noise = createNoise(31)
  paintNightSky(ground, noise)
  paintSea(ground, noise)
  paintCliff(ground, noise)
  const overlay = await sharp(Buffer.from(lighthouseSvg(width, height)))
    .png()
    .toBuffer()
  const raster = await rasterOf(sharpOf(ground).composite([{ input: overlay }]))
  developFilm(raster, { seed: 5, grain: 6, vignette: 0.36 })
  return raster
}

function paintNightSky({ width, height, pixels }: Raster, noise: Noise): void {
  const horizon = Math.round(height * HORIZON)
  for (let y = 0; y < horizon; y++) {
    const v = y / width
    const base = nightRamp(y / horizon)
    for (let x = 0; x < width; x++) {
      const u = x / width
      const body = noise.fractal(u * 1.9 + noise.at(u * 3, v * 4) * 0.3, v * 5.2 + 3, 5)
      const cloud = smoothstep(0.02, 0.5, body) * 0.75
      const warm = smoothstep(0.45, 1, y / horizon)
      const at = (y * width + x) * 3
      pixels[at] = mix(base[0], mix(58, 226, warm), cloud)
      pixels[at + 1] = mix(base[1], mix(78, 158, warm), cloud)
      pixels[at + 2] = mix(base[2], mix(118, 150, warm), cloud)
    }
  }
  paintStars({ width, height, pixels, channels: 3 }, noise)
}

function paintStars({ width, height, pixels }: Raster, noise: Noise): void {
  const random = createRandom(77)
  for (let star = 0; star < 420; star++) {
    const x = 2 + Math.floor(random() * (width - 4))
    const y = 2 + Math.floor(random() ** 1.6 * height * 0.5)
    const hidden = smoothstep(0, 0.3, noise.fractal((x / width) * 1.9, (y / width) * 5.2 + 3, 3))
    const light = random() ** 4 * 210 * (1 - hidden) + 26
    for (const [dx, dy, share] of [
      [0, 0, 1],
      [1, 0, 0.5],
      [0, 1, 0.5],
      [-1, 0, 0.3],
      [0, -1, 0.3],
    ] as const) {
      const at = ((y + dy) * width + x + dx) * 3
      for (let channel = 0; channel < 3; channel++) pixels[at + channel] = pixels[at + channel]! + light * share
    }
  }
}

function paintSea({ width, height, pixels }: Raster, noise: Noise): void {
  const horizon = Math.round(height * HORIZON)
  for (let y = horizon; y < height; y++) {
    const depth = (y - horizon) / (height - horizon)
    const near = 0.05 + depth
    for (let x = 0; x < width; x++) {
      const u = x / width
      const swell = noise.ridged((u * 3.2) / near ** 0.75, (depth * 26) / near ** 0.55, 5)
      const foam = smoothstep(0.74, 0.92, swell) * (0.25 + depth * 0.5)
      const glint = Math.exp(-Math.abs(u - 0.5) * 5) * smoothstep(0.62, 0.9, swell) * (1 - depth) * 150
      const at = (y * width + x) * 3
      pixels[at] = mix(mix(178, 12, depth ** 0.4), 176, foam) + swell * 26 + glint
      pixels[at + 1] = mix(mix(150, 34, depth ** 0.4), 200, foam) + swell * 32 + glint * 0.75
      pixels[at + 2] = mix(mix(142, 62, depth ** 0.4), 216, foam) + swell * 38 + glint * 0.45
    }
  }
}

function paintCliff({ width, height, pixels }: Raster, noise: Noise): void {
  for (let x = 0; x < width; x++) {
    const u = x / width
    const shape = smoothstep(0.02, 0.34, u) * smoothstep(1.06, 0.72, u)
    const top = (0.93 - 0.17 * shape - (noise.ridged(u * 6, 90, 5) - 0.6) * 0.06) * height
    for (let y = Math.floor(top); y < height; y++) {
      const v = y / width
      const bend = noise.at(u * 5, v * 5) * 0.08
      const relief = noise.ridged(u * 9 + bend * 8, v * 6 - bend * 9, 5)
      const light = clamp01(
        0.35 + (relief - noise.ridged((u - 0.006) * 9 + bend * 8, (v - 0.006) * 6 - bend * 9, 5)) * 5,
      )
      const grass = smoothstep(0.05, 0.005, (y - top) / height + (relief - 0.7) * 0.06)
      const edge = clamp01(y - top)
      const at = (y * width + x) * 3
      pixels[at] = mix(pixels[at]!, mix(20 + light * 74, 26 + light * 62, grass), edge)
      pixels[at + 1] = mix(pixels[at + 1]!, mix(26 + light * 66, 44 + light * 74, grass), edge)
      pixels[at + 2] = mix(pixels[at + 2]!, mix(44 + light * 66, 40 + light * 34, grass), edge)
    }
  }
}

function lighthouseSvg(width: number, height: number): string {
  const bands = [0, 1, 2, 3, 4].map((band) => {
    const [top, bottom] = [520 + band * 130, 520 + (band + 1) * 130]
    const half = (y: number) => 62 + ((y - 520) / 650) * 44
    const corners = `M${400 - half(top)} ${top} Q400 ${top + 14} ${400 + half(top)} ${top} L${400 + half(bottom)} ${bottom} Q400 ${bottom + 14} ${400 - half(bottom)} ${bottom} Z`
    return `<path d="${corners}" fill="${band % 2 === 0 ? '#c8322f' : '#f2ece2'}"/><path d="${corners}" fill="url(#round)"/>`
  })
  const windows = [600, 740, 880, 1010].map((y, index) => {
    const x = index % 2 === 0 ? 388 : 404
    return `<path d="M${x} ${y + 44} v-30 a13 13 0 0 1 26 0 v30 z" fill="#1a1420"/><path d="M${x + 3} ${y + 41} v-27 a10 10 0 0 1 20 0 v27 z" fill="#ffcf72"/>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 800 1200" preserveAspectRatio="none">
<defs>
<linearGradient id="round"><stop offset="0" stop-color="#0a1230" stop-opacity=".72"/><stop offset=".3" stop-color="#0a1230" stop-opacity=".1"/>
<stop offset=".42" stop-color="#fff" stop-opacity=".22"/><stop offset=".62" stop-color="#0a1230" stop-opacity=".2"/><stop offset="1" stop-color="#070c22" stop-opacity=".88"/></linearGradient>
<linearGradient id="beamLeft" x1="1" x2="0"><stop offset="0" stop-color="#fff1c4" stop-opacity=".85"/><stop offset=".25" stop-color="#ffe6a8" stop-opacity=".32"/><stop offset="1" stop-color="#ffe6a8" stop-opacity="0"/></linearGradient>
<linearGradient id="beamRight"><stop offset="0" stop-color="#fff1c4" stop-opacity=".85"/><stop offset=".25" stop-color="#ffe6a8" stop-opacity=".32"/><stop offset="1" stop-color="#ffe6a8" stop-opacity="0"/></linearGradient>
<radialGradient id="halo"><stop offset="0" stop-color="#fffbe6"/><stop offset=".12" stop-color="#ffe9a6" stop-opacity=".9"/><stop offset=".4" stop-color="#ffcf7a" stop-opacity=".28"/><stop offset="1" stop-color="#ffb65a" stop-opacity="0"/></radialGradient>
<filter id="soft" x="-20%" y="-60%" width="140%" height="220%"><feGaussianBlur stdDeviation="9"/></filter>
</defs>
<g transform="translate(0 -210)"><path d="M400 452 L-40 300 L-40 470 Z" fill="url(#beamLeft)" filter="url(#soft)"/><path d="M400 452 L840 390 L840 590 Z" fill="url(#beamRight)" filter="url(#soft)"/>
${bands.join('')}${windows.join('')}
<path d="M316 506 h168 l-10 22 h-148 z" fill="#2a2430"/><path d="M316 506 h168 l-10 22 h-148 z" fill="url(#round)"/>
<g stroke="#241e2a" stroke-width="4" fill="none"><path d="M318 470 H482"/>${[322, 348, 374, 400, 426, 452, 478].map((x) => `<path d="M${x} 470 V508"/>`).join('')}</g>
<rect x="356" y="406" width="88" height="100" fill="#ffe9ac"/><rect x="356" y="406" width="88" height="100" fill="url(#round)" opacity=".45"/>
<g stroke="#2a2430" stroke-width="5"><path d="M356 406 V506 M385 406 V506 M415 406 V506 M444 406 V506 M356 456 H444"/></g>
<path d="M340 408 Q400 330 460 408 Z" fill="#b52c2b"/><path d="M340 408 Q400 330 460 408 Z" fill="url(#round)"/><path d="M400 370 V322" stroke="#2a2430" stroke-width="5"/><circle cx="400" cy="320" r="7" fill="#2a2430"/>
<circle cx="400" cy="454" r="170" fill="url(#halo)"/></g>
</svg>`
}
