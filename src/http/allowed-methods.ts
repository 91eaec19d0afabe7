import type { Router } from 'express'

/** What express keeps of a route; its types know the route and not the match. */
type Layer = {
  readonly route?: { readonly stack: readonly { readonly method?: string }[] }
  match(path: string): boolean
}

/** The methods by which the routes answer at this path, for `Allow`; none where there is no such path. */
export function allowedMethods(routers: readonly Router[], path: string): readonly string[] {
  const layers = routers.flatMap((router) => router.stack as unknown as readonly Layer[])
  const routes = layers.flatMap((layer) => (layer.route && layer.match(path) ? [layer.route] : []))
  const methods = routes.flatMap(({ stack }) => stack.flatMap(({ method }) => method?.toUpperCase() ?? []))
  return [...new Set(methods.includes('GET') ? ['GET', 'HEAD', ...methods] : methods)]
}
