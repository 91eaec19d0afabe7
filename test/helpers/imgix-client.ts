import imgixModule from '@imgix/js-core'

type Client = {
  buildURL(path: string, params?: object): string
  buildSrcSet(path: string, params?: object, options?: object): string
}

// The package's types describe its CommonJS face, but what Node loads is its ES module: the default export is the class.
const ImgixClient = imgixModule as unknown as new (options: { domain: string; secureURLToken?: string }) => Client

/** The real imgix client library. */
export function createImgixClient(options: { domain: string; secureURLToken?: string }): Client {
  return new ImgixClient(options)
}
