import ts from 'typescript'

/** What the rules need to know of one source file; `file` is relative to src/ with forward slashes. */
export type SourceFacts = {
  readonly file: string
  /** Specifiers as written, of imports, re-exports and dynamic imports. */
  readonly imports: readonly string[]
  readonly exports?: readonly string[]
  readonly readsEnvironment?: boolean
  /** Asks other machines by itself. */
  readonly reachesNetwork?: boolean
  /** Holds nothing but re-exports. */
  readonly isBarrel?: boolean
}

/** Imports only run down; rooms of one floor never import each other. */
export const floors: Readonly<Record<string, number>> = {
  'main.ts': 7,
  cli: 6,
  'app.ts': 5,
  http: 4,
  delivery: 3,
  uploads: 3,
  transform: 2,
  sources: 2,
  cache: 2,
  signing: 2,
  auth: 2,
  db: 2,
  jobs: 2,
  moderation: 2,
  observability: 1,
  config: 0,
  'errors.ts': 0,
  lib: 0,
}

/** Inside transform/, from top to bottom; each imports only what stands after it. */
export const transformOrder: readonly string[] = ['executor', 'planner', 'negotiation', 'params', 'image']

/** One door to the network; clamd speaks a protocol of its own, the AWS SDK has a home of its own, and lib/node-http.ts gives out what serves only. */
const networkDoors: readonly RegExp[] = [/^sources\/guarded-(client|connector)\.ts$/]
const serverHome = 'lib/node-http.ts'
const networkHomes: readonly RegExp[] = [...networkDoors, /^moderation\/clamav-scanner\.ts$/, /^lib\/node-http\.ts$/]

/** Where a package may be imported; a package that is not listed may live in one room only. */
export const packageHomes: Readonly<Record<string, readonly RegExp[]>> = {
  express: [/^http\//],
  sharp: [/^transform\/executor\//],
  'heic-decode': [/^transform\/executor\//],
  kysely: [/^db\//],
  'better-sqlite3': [/^db\//],
  pg: [/^db\//],
  bullmq: [/^jobs\/bullmq-queue\.ts$/],
  ioredis: [/^cache\/redis-tier\.ts$/, /^jobs\//],
  '@aws-sdk/*': [/(^|\/)s3-[a-z0-9-]+\.ts$/],
  'ipaddr.js': [/^sources\//, /^http\/middleware\/client-address\.ts$/],
  'lru-cache': [/^cache\/memory-tier\.ts$/],
  jose: [/^auth\//, /^signing\/share-token\.ts$/],
  undici: networkDoors,
  pino: [/^observability\//],
  'prom-client': [/^observability\//],
  '@opentelemetry/*': [/^observability\//],
  // Checks what comes in from outside, so it stands at every door.
  zod: [/./],
}

const environmentHome = 'config/load-config.ts'
const bannedWords = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'misc'])
/** A page and a package of their own: they import nothing of ours, and nothing of ours imports them. */
const tiedToNothing: readonly string[] = ['playground', 'client']
/** Runs in browsers, beside whatever else is there. */
const withoutPackages = 'client'

/** One sentence per broken rule; an empty list means that the walls stand. */
export function findFaults(files: readonly SourceFacts[]): string[] {
  return [...files.flatMap((facts) => [...faultsOfFile(facts), ...faultsOfImports(facts)]), ...strayPackages(files)]
}

function faultsOfFile({ file, exports = [], readsEnvironment, reachesNetwork, isBarrel }: SourceFacts): string[] {
  const faults: string[] = []
  const name = file.split('/').at(-1) ?? file
  if (/^index\.[cm]?[jt]s$/.test(name)) faults.push(`${file}: no index files`)
  if (isBarrel === true) faults.push(`${file}: no barrels`)
  if (exports.includes('default')) faults.push(`${file}: no default exports`)
  if (readsEnvironment === true && file !== environmentHome)
    faults.push(`${file}: the environment is read in ${environmentHome} only`)
  if (reachesNetwork === true && !isPage(file) && !networkHomes.some((home) => home.test(file)))
    faults.push(`${file}: the network is reached by sources/guarded-client.ts only`)
  const opening = exports.filter((name) => file === serverHome && networkCalls.has(name))
  if (opening.length > 0) faults.push(`${file}: gives out what serves only, not ${opening.join(', ')}`)
  for (const word of [...wordsOf(file), ...exports.flatMap(wordsOf)]) {
    if (bannedWords.has(word)) faults.push(`${file}: "${word}" says nothing, name the thing`)
  }
  if (!tiedToNothing.includes(roomOf(file)) && floors[roomOf(file)] === undefined)
    faults.push(`${file}: no floor for "${roomOf(file)}"`)
  if (roomOf(file) === 'transform' && transformRank(file) === -1)
    faults.push(`${file}: belongs in a room of transform/`)
  return faults
}

function faultsOfImports({ file, imports }: SourceFacts): string[] {
  return imports.flatMap((specifier) => {
    const fault = specifier.startsWith('.')
      ? wrongFloor(file, resolveFrom(file, specifier))
      : wrongHome(file, specifier)
    return fault === undefined ? [] : [`${file} imports ${specifier}: ${fault}`]
  })
}

function wrongFloor(file: string, target: string): string | undefined {
  if (target.startsWith('..')) return 'leaves src/'
  const [from, to] = [roomOf(file), roomOf(target)]
  if (from === to) return from === 'transform' ? wrongTransformOrder(file, target) : undefined
  const loose = [from, to].find((room) => tiedToNothing.includes(room))
  if (loose !== undefined) return `${loose}/ is tied to nothing`
  const [fromFloor, toFloor] = [floors[from], floors[to]]
  if (fromFloor === undefined || toFloor === undefined) return undefined
  if (toFloor > fromFloor) return `imports run down, this runs from floor ${fromFloor} up to ${toFloor}`
  return toFloor === fromFloor ? `rooms of one floor (${fromFloor}) do not import each other` : undefined
}

function wrongTransformOrder(file: string, target: string): string | undefined {
  const upwards = transformRank(target) < transformRank(file)
  return upwards ? `the order inside transform/ is ${transformOrder.join(' -> ')}` : undefined
}

function wrongHome(file: string, specifier: string): string | undefined {
  if (roomOf(file) === withoutPackages) return `${withoutPackages}/ has no dependencies`
  const homes = homesOf(packageOf(specifier))
  if (specifier.startsWith('node:') || homes === undefined) return undefined
  return homes.some((home) => home.test(file))
    ? undefined
    : `lives elsewhere (${homes.map((home) => home.source).join(' or ')})`
}

function strayPackages(files: readonly SourceFacts[]): string[] {
  const users = new Map<string, Set<string>>()
  for (const { file, imports } of files) {
    for (const name of imports.filter((specifier) => !/^(\.|node:)/.test(specifier)).map(packageOf)) {
      if (homesOf(name) !== undefined) continue
      users.set(name, (users.get(name) ?? new Set()).add(homeOf(file)))
    }
  }
  return [...users]
    .filter(([, homes]) => homes.size > 1)
    .map(([name, homes]) => `package ${name} has ${homes.size} homes: ${[...homes].sort().join(', ')}`)
}

/** Facts of one file, read by the TypeScript parser: comments and strings cannot mislead it. */
export function factsOf(file: string, text: string): SourceFacts {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const statements = [...tree.statements]
  return {
    file,
    imports: ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName),
    exports: statements.flatMap(exportsOf),
    readsEnvironment: readsEnvironment(tree),
    reachesNetwork: reachesNetwork(tree),
    isBarrel:
      statements.length > 0 &&
      statements.every((one) => ts.isExportDeclaration(one) && one.moduleSpecifier !== undefined),
  }
}

function exportsOf(statement: ts.Statement): string[] {
  if (ts.isExportAssignment(statement)) return ['default']
  if (ts.isExportDeclaration(statement)) {
    const clause = statement.exportClause
    return clause !== undefined && ts.isNamedExports(clause) ? clause.elements.map(({ name }) => name.text) : []
  }
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : []
  if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return []
  if (modifiers.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)) return ['default']
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => namesIn(name))
  }
  const named =
    ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement) || ts.isTypeAliasDeclaration(statement)
  return (named || ts.isInterfaceDeclaration(statement)) && statement.name !== undefined ? [statement.name.text] : []
}

/** Of a pattern both what a member is called and what it was. */
function namesIn(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text]
  return name.elements.flatMap((element) => {
    if (ts.isOmittedExpression(element)) return []
    return [...(element.propertyName ? [element.propertyName.getText()] : []), ...namesIn(element.name)]
  })
}

/** `process.env`, `process['env']`, `const { env } = process`, `import { env } from 'node:process'`. */
function readsEnvironment(node: ts.Node): boolean {
  const isProcess = (one: ts.Node | undefined) => one !== undefined && ts.isIdentifier(one) && one.text === 'process'
  if (ts.isPropertyAccessExpression(node) && node.name.text === 'env' && isProcess(node.expression)) return true
  if (ts.isElementAccessExpression(node) && isProcess(node.expression)) return true
  if (ts.isVariableDeclaration(node) && isProcess(node.initializer) && node.name.getText().includes('env')) return true
  if (ts.isImportDeclaration(node) && /^['"](node:)?process['"]$/.test(node.moduleSpecifier.getText())) {
    return /\benv\b/.test(node.importClause?.getText() ?? '')
  }
  return ts.forEachChild(node, (child) => readsEnvironment(child) || undefined) ?? false
}

const networkModules = /^(node:)?(http|https|http2|net|tls|dgram)$/
const networkCalls = new Set(['request', 'get', 'connect', 'createConnection', 'createSocket'])

/** A call of the global `fetch`, or what opens connections imported from a module of Node's, by name, as a whole or while running. */
function reachesNetwork(node: ts.Node): boolean {
  if (ts.isCallExpression(node)) {
    const [first] = node.arguments
    if (/^(globalThis\.)?fetch$/.test(node.expression.getText())) return true
    if (first !== undefined && ts.isStringLiteralLike(first) && networkModules.test(first.text) && loads(node))
      return true
  }
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    const { importClause, moduleSpecifier } = node
    if (!networkModules.test(moduleSpecifier.text) || importClause === undefined || importClause.isTypeOnly)
      return false
    const named = importClause.namedBindings
    if (importClause.name !== undefined || named === undefined || ts.isNamespaceImport(named)) return true
    return named.elements.some(({ name, propertyName }) => networkCalls.has((propertyName ?? name).text))
  }
  return ts.forEachChild(node, (child) => reachesNetwork(child) || undefined) ?? false
}

const loads = ({ expression }: ts.CallExpression): boolean =>
  expression.kind === ts.SyntaxKind.ImportKeyword || /(^|\.)(require|getBuiltinModule)$/.test(expression.getText())
const isPage = (file: string): boolean => tiedToNothing.includes(roomOf(file))
const roomOf = (file: string): string => file.split('/')[0] ?? file
const transformRank = (file: string): number => transformOrder.indexOf(file.split('/')[1] ?? '')
const homeOf = (file: string): string =>
  roomOf(file) === 'transform' ? file.split('/').slice(0, 2).join('/') : roomOf(file)

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function homesOf(name: string): readonly RegExp[] | undefined {
  return packageHomes[name] ?? packageHomes[`${name.split('/')[0] ?? ''}/*`]
}

function resolveFrom(file: string, specifier: string): string {
  const parts = file.split('/').slice(0, -1)
  for (const part of specifier.split('/')) {
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}

/** Words of kebab-case and camelCase names, lower case. */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
}
