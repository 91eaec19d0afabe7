import type * as http from 'node:http'

/**
 * node:http without its ES module face. An `import` of a value reads every export of a built-in module, and the getters of `WebSocket` and its
 * kin load the whole fetch client of Node: 14 MB resident in every server, of which nothing is used.
 */
export const { Server, createServer, validateHeaderName, validateHeaderValue } = process.getBuiltinModule('node:http')
export type Server = http.Server
