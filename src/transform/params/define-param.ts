/** What a text was read as. `exact` is false where it was clamped or partly unknown: applied, but refused when strict. */
export type Reading<Value> = { readonly value: Value; readonly exact: boolean }

/** How the text of a parameter becomes a value and how the value is spelled. */
export type ValueType<Value> = {
  /** Completes "expected ..." in messages. */
  readonly expected: string
  /** The closed list of words, where there is one. */
  readonly values?: readonly string[]
  readonly range?: string
  /** Undefined for a bad value. Never throws. */
  read(text: string): Reading<Value> | undefined
  /** The one spelling of this value: printable ASCII, read back as the same value. */
  format(value: Value): string
  /** Unites repetitions; without it the last one wins. */
  merge?(earlier: Value, later: Value): Value
}

/**
 * pixels: the bytes of the picture may depend on it, so it triggers a render and is in the cache key.
 * answer: only headers or the lifetime of the answer depend on it.
 * source: stands for other parameters.
 * none: accepted and ignored.
 */
export type ParamEffect = 'pixels' | 'answer' | 'source' | 'none'

/** Words of other parameters of which one must be in force, or this parameter does nothing. */
export type Requirements = Readonly<Record<string, readonly string[]>>

export type ParamDefinition<Value> = {
  readonly type: ValueType<Value>
  readonly category: string
  /** One sentence for docs and playground. */
  readonly summary: string
  /** The value in force when the parameter is absent, if that is a value. */
  readonly fallback: Value | undefined
  /** What docs say of the default when it is not a plain value. */
  readonly fallbackText: string | undefined
  readonly aliases: readonly string[]
  /** Whether `<name>64` and `<alias>64` are accepted. */
  readonly base64: boolean
  readonly effect: ParamEffect
  readonly requires: Requirements
}

type ParamOptions<Value> = Pick<ParamDefinition<Value>, 'type' | 'category' | 'summary'> &
  Partial<ParamDefinition<NoInfer<Value>>>

/** Completes an entry of `groups/`: by default it has a base64 twin, no alias, no default and changes pixels. */
export function defineParam<Value>(options: ParamOptions<Value>): ParamDefinition<Value> {
  return {
    fallback: undefined,
    fallbackText: undefined,
    aliases: [],
    base64: true,
    effect: 'pixels',
    requires: {},
    ...options,
  }
}
