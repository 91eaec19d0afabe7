/**
 * The file to run: bundled if that is possible, from the sources otherwise, the reason for which is told.
 * `root`: of the repository. `node`: what bundles; the one that runs this by default.
 */
export function builtServer(
  root: string,
  options?: { readonly node?: string; readonly onFailure?: (reason: string) => void },
): string
