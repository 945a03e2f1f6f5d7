/**
 * What the catalogs say about a target table, as far as staging and a merge go by it. Every name and definition is SQL
 * text, qualified and quoted, fit to be executed with an empty search path.
 */
export interface MergeFacts {
  readonly oid: number;
  /** Not quoted. */
  readonly schema: string;
  /** Unqualified, as in the contract. */
  readonly table: string;
  /** `public.t`, quoted where needed. */
  readonly name: string;
  readonly tablespace: string | null;
  /** `fillfactor=70` …; those of the TOAST table begin with `toast.`. */
  readonly options: readonly string[];
  /** Unqualified names of the columns. */
  readonly columns: readonly string[];
  /** Columns that may hold null. */
  readonly nullable: readonly string[];
  /** Columns whose values PostgreSQL makes itself and takes from no one: GENERATED ALWAYS, as identity or as expression. */
  readonly generated: readonly string[];
  /** Columns whose default draws from a sequence (`serial`). */
  readonly serial: readonly string[];
  /** Unqualified names of rules ON INSERT and ON UPDATE. */
  readonly rules: readonly string[];
  readonly indexes: readonly IndexFacts[];
  readonly foreignKeys: readonly ForeignKeyFacts[];
}

/** What a swap has to rebuild or keep besides. */
export interface TargetFacts extends MergeFacts {
  readonly owner: string;
  /** Columns and CHECK constraints, one line each: equal lines mean that rows of one table fit the other. */
  readonly shape: readonly string[];
  readonly statistics: readonly StatisticsFacts[];
  readonly sequences: readonly SequenceFacts[];
  readonly views: readonly ViewFacts[];
  /** `ALTER COLUMN c SET STATISTICS n` and the like, without the table's name. */
  readonly columnSettings: readonly string[];
  /** Statements that give a table of this name what this one has: triggers, policies, comments, replica identity … */
  readonly kept: readonly string[];
  /** The same for privileges, which others may have been given by default and lose. */
  readonly grants: readonly string[];
}

export interface IndexFacts {
  /** Unqualified, not quoted. */
  readonly name: string;
  readonly unique: boolean;
  /** Everything after `USING`: method, columns, options, predicate. */
  readonly body: string;
  readonly tablespace: string | null;
  /** Key columns and expressions, without INCLUDE. */
  readonly keys: readonly string[];
  /**
   * The same with the collation that the index compares by: terms to group, partition and compare by, as it does.
   * `keys` says nothing of a collation that is not the column's own.
   */
  readonly terms: readonly string[];
  /** Names of the key columns; an expression has none and is left out. */
  readonly columns: readonly string[];
  /** Names of all columns that decide on a place in it: in key columns, expressions and predicate. */
  readonly uses: readonly string[];
  /** Key columns that it compares in another way than `=` of the column does: by another collation or operator class. */
  readonly otherwise: readonly string[];
  /** Key columns in which values of different bytes are equal: nondeterministic collations, `citext`, `jsonb`. */
  readonly lenient: readonly string[];
  /** False after CREATE INDEX CONCURRENTLY has failed: it keeps nothing unique. */
  readonly valid: boolean;
  /** False for DEFERRABLE constraints, which ON CONFLICT cannot go by. */
  readonly immediate: boolean;
  readonly predicate: string | null;
  readonly nullsDistinct: boolean;
  /** The constraint that owns it, always of the same name: `PRIMARY KEY` or `UNIQUE`, and what is behind it. */
  readonly constraint: { readonly kind: 'PRIMARY KEY' | 'UNIQUE'; readonly deferral: string } | null;
}

export interface ForeignKeyFacts {
  readonly name: string;
  /** From `ON DELETE …` on: everything behind the columns that are referred to. */
  readonly behind: string;
  readonly columns: readonly string[];
  /** `public.t`; one of the dataset's own tables or a foreign one. */
  readonly referenced: string;
  readonly referencedOid: number;
  readonly referencedColumns: readonly string[];
  /** False for constraints that are NOT VALID in the target: its rows may not fit. */
  readonly validated: boolean;
  /** MATCH FULL refuses keys that are null in part. */
  readonly matchFull: boolean;
}

export interface StatisticsFacts {
  /** Unqualified, not quoted. */
  readonly name: string;
  /** `(dependencies) ON a, b`: between the name and FROM. */
  readonly body: string;
}

export interface SequenceFacts {
  /** Unqualified, not quoted. */
  readonly name: string;
  readonly column: string;
  /** False for a sequence that is merely owned (`serial`): defaults refer to it, and it must outlive the old table. */
  readonly identity: boolean;
}

export interface ViewFacts {
  readonly name: string;
  readonly owner: string;
  /** CREATE OR REPLACE VIEW: binds the view to the table that has the name then. */
  readonly definition: string;
}
