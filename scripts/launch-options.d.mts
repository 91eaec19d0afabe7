export declare const nodeFlags: readonly string[]
export declare const jemallocOptions: string
/** `file`: what is run, bundled or not. */
export declare function serverEnvironment(root: string, file: string): Record<string, string>
export declare function compileCacheOf(root: string, file: string): { readonly NODE_COMPILE_CACHE: string }
export declare function launchEnvironment(root: string): Record<string, string>
