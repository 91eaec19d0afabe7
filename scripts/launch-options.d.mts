export declare const nodeFlags: readonly string[]
export declare const jemallocOptions: string
export declare function serverEnvironment(root: string): Record<string, string>
export declare function launchEnvironment(root: string): Record<string, string>
