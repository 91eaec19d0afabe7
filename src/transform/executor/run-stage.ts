import type { Sharp } from 'sharp'
import { AppError } from '../../errors.ts'
import type { Color } from '../image/color.ts'
import type { CropStage, GeometryStage, Stage } from './apply-operation.ts'
import { emptyGeometry } from './apply-operation.ts'
import { blurFill } from './blur-fill.ts'
import { enhanceTone } from './enhance-tone.ts'
import type { PixelSource, Raster } from './raster.ts'
import { framesOf, rasterOf, rasterSource, renderRaster } from './raster.ts'
import type { Size } from './turn.ts'

/** Sets up one stage on its input and returns the pipeline, not yet run. `size` is that of the result, of one frame. */
export async function runStage(stage: Stage, source: PixelSource, size: Size): Promise<Sharp> {
  if (source.frames > 1 && isByFrame(stage)) return rasterSource(await eachFrame(stage, source, size)).open()
  switch (stage.kind) {
    case 'geometry':
      if (await needsColor(stage, source)) return colorLater(stage, source, size)
      return geometryPipeline(stage, source.open())
    case 'crop':
      // Each frame would be cut elsewhere and the picture would jump, so the planner cuts all of them in the middle.
      if (source.frames > 1) throw new AppError('internal', { cause: new Error('content crop of an animation') })
      return cropPipeline(stage, source.open())
    case 'blurFill':
      return blurFill(await rasterOf(source), stage.canvas)
    case 'enhance':
      return enhanceTone(await rasterOf(source))
  }
}

/** Runs one stage to pixels, as the input of the next one. */
export async function drawStage(stage: Stage, source: PixelSource, size: Size): Promise<PixelSource> {
  if (source.frames > 1 && isByFrame(stage)) return rasterSource(await eachFrame(stage, source, size))
  return rasterSource(await renderRaster(await runStage(stage, source, size), size, source.frames))
}

/** What sharp cannot do to the roll of frames: turns reverse their order or are refused, a backdrop would be one for all. */
function isByFrame(stage: Stage): boolean {
  return stage.kind === 'blurFill' || (stage.kind === 'geometry' && stage.turn.angle !== 0)
}

function geometryPipeline(stage: GeometryStage, pipeline: Sharp): Sharp {
  // The order of these calls matters: sharp turns first when it is asked to turn before it is asked to resize,
  // and then cannot use shrink-on-load.
  if (stage.before) pipeline.extract(stage.before)
  if (stage.flatten) pipeline.flatten({ background: stage.flatten })
  if (stage.resize) pipeline.resize({ ...stage.resize, fit: 'fill' })
  if (stage.turn.flop) pipeline.flop()
  if (stage.turn.angle !== 0) pipeline.rotate(stage.turn.angle)
  if (stage.after) pipeline.extract(stage.after)
  if (stage.extend) {
    const { top, right, bottom, left, fill } = stage.extend
    const how = fill.kind === 'edge' ? { extendWith: 'copy' as const } : { background: fill.color }
    pipeline.extend({ top, right, bottom, left, ...how })
  }
  return pipeline
}

/** Whether the stage brings a colour into a picture that sharp keeps grey, and would make it grey as well. */
async function needsColor({ flatten, extend }: GeometryStage, source: PixelSource): Promise<boolean> {
  const colors = [flatten, extend?.fill.kind === 'color' ? extend.fill.color : undefined]
  if (!colors.some((color) => color && !isGrey(color))) return false
  const { space, hasProfile } = await source.open().metadata()
  // With a profile sharp makes it sRGB by itself, but not when it has 16 bits.
  return (space === 'b-w' && !hasProfile) || space === 'grey16'
}

/** Brings the colours in afterwards: asked for sRGB from the start, sharp would not use shrink-on-load. */
async function colorLater(stage: GeometryStage, source: PixelSource, size: Size): Promise<Sharp> {
  const { flatten, extend, ...geometry } = stage
  const { top = 0, right = 0, bottom = 0, left = 0 } = extend ?? {}
  const inner = { width: size.width - left - right, height: size.height - top - bottom }
  const shaped = geometryPipeline({ ...geometry, flatten: undefined, extend: undefined }, source.open())
  const raster = await renderRaster(shaped, inner, source.frames)
  return geometryPipeline(
    { ...emptyGeometry, flatten, extend },
    rasterSource(raster).open().pipelineColourspace('srgb'),
  )
}

function isGrey({ r, g, b }: Color): boolean {
  return r === g && g === b
}

function cropPipeline(stage: CropStage, pipeline: Sharp): Sharp {
  return pipeline.resize({ ...stage.size, fit: 'cover', position: stage.strategy, withoutReduction: true })
}

/** Frame by frame into one block of memory: an animation is held twice at most, as it was and as it will be. */
async function eachFrame(stage: Stage, source: PixelSource, size: Size): Promise<Raster> {
  let roll: Raster | undefined
  for (const [index, frame] of framesOf(await rasterOf(source)).entries()) {
    const { pixels, channels } = await renderRaster(await runStage(stage, rasterSource(frame), size), size, 1)
    roll ??= { pixels: Buffer.allocUnsafe(pixels.length * source.frames), size, channels, frames: source.frames }
    roll.pixels.set(pixels, index * pixels.length)
  }
  if (!roll) throw new AppError('internal', { cause: new Error('an animation without frames') })
  return roll
}
