/**
 * What the catalogs say about a target table, as far as a swap has to rebuild or keep it. Every name and
 * definition is SQL text, qualified and quoted, fit to be executed with an empty search path.
 */
export interface TargetFacts {
  readonly oid: number;
  /** Unqualified, as in the contract. */
  readonly table: string;
  /** `public.t`, quoted where needed. */
  readonly name: string;
  readonly owner: string;
  readonly tablespace: string | null;
  /** `fillfactor=70` …; those of the TOAST table begin with `toast.`. */
  readonly options: readonly string[];
  /** Unqualified names of the columns. */
  readonly columns: readonly string[];
  /** Columns and CHECK constraints, one line each: equal lines mean that rows of one table fit the other. */
  readonly shape: readonly string[];
  readonly indexes: readonly IndexFacts[];
  readonly foreignKeys: readonly ForeignKeyFacts[];
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
  /** Names of the key columns; an expression has none and is left out. */
  readonly columns: readonly string[];
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
  /** False for constraints that are NOT VALID in the target: nobody promised that its rows fit. */
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
  /** CREATE OR REPLACE VIEW: binds the view to whatever table has the name then. */
  readonly definition: string;
}
