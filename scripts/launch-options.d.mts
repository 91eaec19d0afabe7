export declare const nodeFlags: readonly string[]
export declare function serverEnvironment(
  root: string,
  given?: Readonly<Record<string, string | undefined>>,
): Record<string, string>
export declare function launchEnvironment(root: string): Record<string, string>
