import express, { Router } from 'express'

export type PlaygroundDeps = {
  /** Folder of the page's static files. */
  readonly directory: string
  /** What the page is fed: plain JSON. */
  readonly describe: () => {
    params: readonly unknown[]
    samples: readonly string[]
    presets: readonly string[]
    publicUrl?: string
  }
}

// The page runs its own script and style files and shows pictures of this origin; nothing else.
const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export function createPlaygroundRoutes(deps: PlaygroundDeps): Router {
  const router = Router()
  router.get('/', (_request, response) => response.redirect(302, '/-/playground/'))
  router.get('/-/playground/params.json', (_request, response) => {
    response.set('Cache-Control', 'no-cache').json(deps.describe())
  })
  const files = express.static(deps.directory, {
    index: 'index.html',
    redirect: true,
    setHeaders: (response) => {
      response.setHeader('Content-Security-Policy', pagePolicy)
      response.setHeader('X-Content-Type-Options', 'nosniff')
      response.setHeader('Referrer-Policy', 'no-referrer')
      response.setHeader('Cache-Control', 'no-cache')
    },
  })
  router.use('/-/playground', files)
  return router
}
