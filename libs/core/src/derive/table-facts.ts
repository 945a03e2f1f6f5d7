/** What a table must be for a contract, or is in a database. */
export interface TableFacts {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly ColumnFacts[];
  /** Names of the primary key's columns; empty where nothing identifies a row. */
  readonly key: readonly string[];
  readonly parent: {
    /** Qualified, as in SQL. */
    readonly name: string;
    /** Own column → the parent's. */
    readonly columns: readonly (readonly [string, string])[];
    /** They are the parent's key, so that a foreign key can keep them. */
    readonly isKey: boolean;
  } | null;
  /** Columns of indexes besides the key's. */
  readonly indexes: readonly (readonly string[])[];
}

export interface ColumnFacts {
  readonly name: string;
  /** As PostgreSQL writes it: `character varying(20)` and `varchar(20)` are the same type. */
  readonly type: string;
  readonly notNull: boolean;
  /** SQL of a condition, or null. */
  readonly check: string | null;
}

/** A table as a database has it. */
export interface FoundTable {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly FoundColumn[];
  /** Columns of each primary key and unique index without a condition. */
  readonly keys: readonly (readonly string[])[];
}

export interface FoundColumn {
  readonly name: string;
  /** As `format_type` writes it. */
  readonly type: string;
  readonly notNull: boolean;
  /** It has a default, an identity or an expression, so that it need not be filled. */
  readonly hasDefault: boolean;
}

/** Columns that take no NULL, have no default, and are none of the contract's: every row would be refused. */
export function unfilledColumns(wanted: TableFacts, found: FoundTable): FoundColumn[] {
  return found.columns.filter(
    ({ name, notNull, hasDefault }) =>
      notNull && !hasDefault && !wanted.columns.some((one) => one.name === name),
  );
}

/** Whether a primary key or unique index is on exactly these columns, in any order. */
export function keepsUnique(found: FoundTable, key: readonly string[]): boolean {
  return found.keys.some((names) => names.length === key.length && names.every((name) => key.includes(name)));
}
