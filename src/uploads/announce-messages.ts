import type { Stores } from '../db/stores.ts'

/** The stores, with a word after every transaction that may have written messages: they are told at once, not at the next look. */
export function announceMessages(stores: Stores, wake: () => void): Stores {
  const { uploads, images } = stores
  const thenWake = async <Result>(written: Promise<Result>): Promise<Result> => {
    const result = await written
    wake()
    return result
  }
  return {
    ...stores,
    uploads: {
      ...uploads,
      finish: (...given) => thenWake(uploads.finish(...given)),
      end: (...given) => thenWake(uploads.end(...given)),
    },
    images: {
      ...images,
      update: (...given) => thenWake(images.update(...given)),
      review: (...given) => thenWake(images.review(...given)),
      remove: (...given) => thenWake(images.remove(...given)),
    },
  }
}
