/** What differs in table definitions from one database to the other. */
export type TableDialect = {
  readonly bigInteger: 'integer' | 'bigint'
  /** Stands behind every CREATE TABLE. */
  readonly tableEnd: 'strict' | ''
}
