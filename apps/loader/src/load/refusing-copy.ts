import pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import { rowsByTable } from '#core/ledger/ledger.repository.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import { type CopyFault, copyFaultOf, copyInto, recordOfLine, SectionRows } from './copy-sections.js';
import type { StagingTarget, UnfitColumn } from './staging-targets.js';

/** From the next refusal on, records are sought in ranges: see RC3. */
const REFUSALS_BY_WHOLE_COPIES = 3;

/** Fewer records may well be wrong in the same column by themselves. */
const FEWEST_OF_UNFIT_COLUMN = 10;
const DATA_EXCEPTION = '22';

/** The database refuses a row of what it was given, and its message does not say which. */
const UNNAMED = 'unnamed';

/**
 * COPYs the batches of a group and leaves out the records that the database itself refuses, inside the caller's
 * transaction.
 *
 * PostgreSQL stops a COPY at the first row that it refuses and names the line, in the server's language; the line's
 * first column is the record.
 *
 * - RC1 (G10): a record is refused only when the database names it, refuses it alone too, and takes the others
 *   without it. Anything else fails the group, which comes again.
 * - RC2: a group without a bad record costs one COPY a table, one with a single bad record at most three: all, the
 *   bad record alone, all others.
 * - RC3: many bad records are found at a cost that grows with their number, not with its product with the group's
 *   size: what stands before the named record is kept and only the rest is tried again, three COPYs a record.
 *   Where no line is named (a server that cannot put its message into our encoding), the rest is halved instead.
 * - RC4: a record is refused in all tables, or in none.
 * - RC5 (G1): what COPY says it took is, table by table, what the batches say they bring, less the rows of refused
 *   records; every section has a table. Anything else is an error: those rows would be missing, or of another batch.
 * - RC6: a column that could read no value at all is distinguished from records that are wrong.
 */
export class RefusingCopy {
  private readonly refusals = new Map<number, LoadRefusal>();
  /** Of each refusal: the column whose value could not be read, null when it was something else. */
  private readonly unreadable: (CopyFault | null)[] = [];
  /** Table → rows that COPY has taken so far, of what was not rolled back. */
  private readonly taken = new Map<string, number>();
  private rows: SectionRows | null = null;

  constructor(
    private readonly client: pg.PoolClient,
    private readonly batches: readonly CleanMessage[],
    private readonly targets: readonly StagingTarget[],
    private readonly progress: () => void,
  ) {}

  /**
   * @returns the refusals in record order
   * @throws the database's error when it is no record's fault; SluiceError DATABASE_FAULT, BATCH_MISCOUNTED
   */
  async run(): Promise<LoadRefusal[]> {
    this.assertSectionsHaveTables();
    let bad = await this.attempt((table) => this.sectionsOf(table));
    while (typeof bad === 'number' && this.refusals.size < REFUSALS_BY_WHOLE_COPIES) {
      await this.refuse(bad);
      bad = await this.attempt((table) => this.indexed().textOf(table, this.others()));
    }
    if (bad !== null) await this.copyRanges(this.others());
    this.assertCounts();
    return [...this.refusals.values()].sort((a, b) => a.record - b.record);
  }

  /** RC6. */
  unfitColumn(): UnfitColumn | null {
    const records = this.refusals.size;
    if (records < FEWEST_OF_UNFIT_COLUMN || this.others().length > 0) return null;
    const [first] = this.unreadable;
    const target = this.targets.find(({ stagingName }) => stagingName === first?.table);
    const column = first?.column ?? null;
    if (target === undefined || column === null) return null;
    const isOne = this.unreadable.every((place) => place?.table === first?.table && place?.column === column);
    return isOne ? { target, column, records } : null;
  }

  /** RC5: table → rows of `batch` that are in staging now. */
  rowsOf(batch: CleanMessage): Record<string, number> {
    const rows = rowsByTable(batch.sections);
    for (const record of this.refusals.keys()) {
      if (!holds(batch, record)) continue;
      for (const table of Object.keys(rows))
        rows[table] = (rows[table] ?? 0) - this.indexed().rowsOf(table, record);
    }
    return rows;
  }

  private assertSectionsHaveTables(): void {
    for (const { sections, job, batch } of this.batches) {
      const unknown = sections.find(({ table }) => !this.targets.some((target) => target.table === table));
      if (unknown !== undefined)
        throw miscounted(job, batch, `it has rows for ${unknown.table}, which the dataset does not write`);
    }
  }

  private assertCounts(): void {
    const [first] = this.batches;
    for (const record of this.refusals.keys()) {
      if (!this.batches.some((batch) => holds(batch, record)))
        throw miscounted(
          first?.job,
          first?.batch,
          `record ${record} is in none of the batches that bring it`,
        );
    }
    const each = this.batches.map((batch) => this.rowsOf(batch));
    for (const { table } of this.targets) {
      const due = each.reduce((sum, rows) => sum + (rows[table] ?? 0), 0);
      const taken = this.taken.get(table) ?? 0;
      if (taken !== due)
        throw miscounted(
          first?.job,
          first?.batch,
          `${taken} rows of ${table} were taken where ${due} are due`,
        );
    }
  }

  /** RC3. @param records in ascending order; none of them is in staging yet */
  private async copyRanges(records: readonly number[]): Promise<void> {
    for (let rest = records; rest.length > 0;) {
      const tried = rest;
      const bad = await this.attempt((table) => this.indexed().textOf(table, tried));
      if (bad === null) return;
      if (bad === UNNAMED) {
        await this.copyHalves(tried);
        return;
      }
      const at = tried.indexOf(bad);
      await this.copyRanges(tried.slice(0, at));
      await this.refuse(bad);
      rest = tried.slice(at + 1);
    }
  }

  /** RC3. @param records of which the database refuses one without naming it */
  private async copyHalves(records: readonly number[]): Promise<void> {
    const [only] = records;
    if (records.length === 1 && only !== undefined) {
      await this.refuse(only);
      return;
    }
    const middle = records.length >> 1;
    await this.copyRanges(records.slice(0, middle));
    await this.copyRanges(records.slice(middle));
  }

  /** RC1: the record has to be refused alone as well. */
  private async refuse(record: number): Promise<void> {
    const fault = await this.tried((table) => this.indexed().textOf(table, [record]));
    if (fault === null) throw this.unexplained('took it alone', record);
    const place = copyFaultOf(fault, this.targets);
    this.refusals.set(record, refusalOf(record, fault, place, this.targets));
    const isUnreadable = fault.code?.startsWith(DATA_EXCEPTION) === true;
    this.unreadable.push(isUnreadable ? place : null);
  }

  /** @returns the record that the database named, or that it named none; null when everything is in */
  private async attempt(
    texts: (table: string) => readonly Buffer[],
  ): Promise<number | typeof UNNAMED | null> {
    const fault = await this.tried(texts);
    return fault === null ? null : this.recordOf(fault, texts);
  }

  /** COPYs what `texts` gives for each table, or nothing at all. @returns the refusal of a record, if it was one */
  private async tried(texts: (table: string) => readonly Buffer[]): Promise<pg.DatabaseError | null> {
    await this.client.query('SAVEPOINT copying');
    const counts: [table: string, rows: number][] = [];
    try {
      for (const target of this.targets) {
        counts.push([target.table, await copyInto(this.client, target, texts(target.table), this.progress)]);
      }
      await this.client.query('RELEASE SAVEPOINT copying');
      for (const [table, rows] of counts) this.taken.set(table, (this.taken.get(table) ?? 0) + rows);
      return null;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || classifyDatabaseError(error) !== 'record') throw error;
      await this.client.query('ROLLBACK TO SAVEPOINT copying; RELEASE SAVEPOINT copying');
      return error;
    }
  }

  private recordOf(
    fault: pg.DatabaseError,
    texts: (table: string) => readonly Buffer[],
  ): number | typeof UNNAMED {
    const place = copyFaultOf(fault, this.targets);
    const target = this.targets.find(({ stagingName }) => stagingName === place?.table);
    if (place === null || target === undefined) return UNNAMED;
    const record = recordOfLine(texts(target.table), place.line);
    if (record === null || this.refusals.has(record)) {
      throw this.unexplained(`named no record of it (${fault.code ?? 'no SQLSTATE'})`, record, fault);
    }
    return record;
  }

  /** The records that are not refused so far. */
  private others(): number[] {
    return this.indexed().records.filter((record) => !this.refusals.has(record));
  }

  private sectionsOf(table: string): readonly Buffer[] {
    return this.batches.flatMap(({ sections }) =>
      sections.filter((section) => section.table === table).map(({ text }) => text),
    );
  }

  /** Made with the first refusal: groups without one never pay for it. */
  private indexed(): SectionRows {
    return (this.rows ??= new SectionRows(
      new Map(this.targets.map(({ table }) => [table, this.sectionsOf(table)])),
    ));
  }

  private unexplained(what: string, record: number | null, cause?: Error): SluiceError {
    const [first] = this.batches;
    const named = record === null ? '' : ` of record ${record}`;
    return new SluiceError(
      'DATABASE_FAULT',
      `PostgreSQL refused a COPY because${named}, and then ${what}.`,
      { job: first?.job ?? 'unknown', batch: first?.batch ?? 0 },
      { cause },
    );
  }
}

function holds({ firstRecord, counts }: CleanMessage, record: number): boolean {
  return record >= firstRecord && record < firstRecord + counts.records;
}

function miscounted(job: string | undefined, batch: number | undefined, what: string): SluiceError {
  return new SluiceError('BATCH_MISCOUNTED', `Batches from ${batch ?? 0} on cannot be loaded: ${what}.`, {
    job: job ?? 'unknown',
    batch: batch ?? 0,
  });
}

/** Its message names the target table: the job's staging table is gone when the message is read. */
function refusalOf(
  record: number,
  fault: pg.DatabaseError,
  place: CopyFault | null,
  targets: readonly StagingTarget[],
): LoadRefusal {
  const { code, constraint } = fault;
  const message = targets.reduce(
    (text, { table, stagingName }) => text.replaceAll(stagingName, table),
    fault.message,
  );
  return {
    record,
    sqlstate: code ?? null,
    findings: [
      {
        code: GENERAL_FINDING_CODES.REFUSED_BY_DATABASE,
        field: fault.column ?? place?.column ?? null,
        message: constraint === undefined ? message : `${message} (constraint ${constraint})`,
        severity: 'error',
      },
    ],
  };
}
