declare module 'heic-decode' {
  type DecodedHeic = { readonly width: number; readonly height: number; readonly data: Uint8ClampedArray }
  const decodeHeic: (input: { readonly buffer: Uint8Array }) => Promise<DecodedHeic>
  export = decodeHeic
}
