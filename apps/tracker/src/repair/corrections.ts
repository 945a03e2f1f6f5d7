import {
  type Damage,
  type DamageWarning,
  type DeadLettersEdited,
  type EditProblem,
  type EditProblemCode,
  MAX_EXAMPLES,
  MAX_PROBLEM_IDS,
} from '#api/dead-letter-edits.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { planTables } from '#core/record/compile-contract.js';
import type { DatasetRegistry } from '#core/registry/registry.js';
import { RecordChecker } from '#core/repair/check-record.js';
import { CheckSummary, ReasonCounts } from '#core/repair/check-summary.js';
import { currentBytes, type OpenDeadLetter } from '#core/repair/open-dead-letters.js';
import {
  faultOf,
  isSendable,
  type RecordEdit,
  type RecordToSend,
  recordToSend,
  type SendOptions,
} from '#core/repair/record-to-send.js';

/** What a dead letter is to be: corrected to these bytes; null: without a correction. */
export interface Correction {
  readonly letter: OpenDeadLetter;
  readonly bytes: Buffer | null;
}

/** Corrections of one request: what is to be written, what is counted, and what would become of them. */
export class Corrections {
  edited = 0;
  private removed = 0;
  private unchanged = 0;
  private readonly problems = new ReasonCounts(MAX_PROBLEM_IDS);
  private readonly messages = new Map<string, string>();
  private readonly warnings = new ReasonCounts(MAX_EXAMPLES);
  private readonly checks: Checks;

  constructor(registry: DatasetRegistry) {
    this.checks = new Checks(registry);
  }

  dataset(letter: Pick<OpenDeadLetter, 'id' | 'dataset'>): Dataset | null {
    const dataset = this.checks.dataset(letter.dataset);
    if (dataset === null)
      this.problem(letter.id, 'DATASET_UNKNOWN', `this build has no dataset ${letter.dataset}`);
    return dataset;
  }

  problem(id: string, code: EditProblemCode, message: string, field: string | null = null): void {
    this.problems.add(id, code, field);
    const key = JSON.stringify([code, field]);
    if (!this.messages.has(key) && this.messages.size < MAX_PROBLEM_IDS) this.messages.set(key, message);
  }

  warning(id: string, code: Damage, field: string): void {
    this.warnings.add(id, code, field);
  }

  /** A correction that changes nothing is none; one that is the record as it came takes the one before it back. */
  settle(corrections: readonly Correction[]): Writes {
    const writes: Writes = { edits: [], removals: [] };
    const checked: { letter: OpenDeadLetter; edit: RecordEdit | null }[] = [];
    for (const { letter, bytes } of corrections) {
      const dataset = this.checks.dataset(letter.dataset);
      const isUnchanged = bytes !== null && bytes.equals(currentBytes(letter));
      const isOriginal = bytes === null || bytes.equals(letter.bytes);
      // What was refused may be no record at all; to leave it as it is is no fault.
      const fault = isOriginal || isUnchanged || dataset === null ? null : faultOf(dataset, bytes);
      if (fault !== null) this.problem(letter.id, fault.reason as EditProblemCode, fault.message);
      else if (isOriginal && letter.edit !== null) {
        this.removed += 1;
        writes.removals.push(letter);
        checked.push({ letter, edit: null });
      } else if (isOriginal || isUnchanged) this.unchanged += 1;
      else {
        this.edited += 1;
        writes.edits.push({ letter, bytes });
        checked.push({ letter, edit: { bytes, columns: letter.edit?.columns ?? null } });
      }
    }
    this.checks.add(checked);
    return writes;
  }

  answer(action: string | null, dryRun: boolean): DeadLettersEdited {
    const { edited, removed, unchanged } = this;
    return {
      ...{ action, dryRun, edited, removed, unchanged },
      problems: this.problems.list().map(({ code, field, count, examples }): EditProblem => {
        const message = this.messages.get(JSON.stringify([code, field])) ?? '';
        return { code: code as EditProblemCode, field, message, count, ids: examples };
      }),
      warnings: this.warnings.list().map(({ code, field, count, examples }): DamageWarning => ({
        ...{ code: code as Damage, field: field ?? '' },
        ...{ count, examples },
      })),
      check: this.checks.summary.result(),
    };
  }
}

export interface Writes {
  readonly edits: { readonly letter: OpenDeadLetter; readonly bytes: Buffer }[];
  readonly removals: OpenDeadLetter[];
}

/** @param client in the transaction that holds the dead letters' locks */
export async function writeEdits(
  client: SqlClient,
  { edits, removals }: Writes,
  { action, by }: { readonly action: string; readonly by: string | null },
): Promise<void> {
  if (edits.length > 0)
    await client.query(
      `INSERT INTO sluice.dead_letter_edit AS known (job, record, bytes, action, by_whom)
       SELECT job, record, bytes, $4::uuid, $5::text
         FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS edit (job, record, bytes)
       ON CONFLICT (job, record) DO UPDATE
         SET bytes = excluded.bytes, action = excluded.action, by_whom = excluded.by_whom, at = now()`,
      [
        edits.map(({ letter }) => letter.job),
        edits.map(({ letter }) => letter.record),
        edits.map(({ bytes }) => bytes),
        action,
        by,
      ],
    );
  if (removals.length > 0)
    await client.query(
      `DELETE FROM sluice.dead_letter_edit AS edit USING unnest($1::uuid[], $2::bigint[]) AS gone (job, record)
        WHERE edit.job = gone.job AND edit.record = gone.record`,
      [removals.map(({ job }) => job), removals.map(({ record }) => record)],
    );
}

/** What the next resubmission would do with dead letters; contracts are compiled once a request. */
export class Checks {
  readonly summary = new CheckSummary();
  private readonly checkers = new Map<string, RecordChecker>();

  constructor(
    private readonly registry: DatasetRegistry,
    private readonly options: SendOptions = {},
  ) {}

  dataset(name: string): Dataset | null {
    return this.registry.all().find((dataset) => dataset.name === name) ?? null;
  }

  add(letters: readonly { readonly letter: OpenDeadLetter; readonly edit: RecordEdit | null }[]): void {
    const toSend = new Map<Dataset, { id: string; record: RecordToSend }[]>();
    for (const { letter, edit } of letters) {
      const dataset = this.dataset(letter.dataset);
      const record =
        dataset === null
          ? { reason: 'DATASET_UNKNOWN' as const, message: '' }
          : recordToSend(dataset, letter, letter.origin, edit, this.options);
      if (dataset === null || !isSendable(record)) {
        if (!isSendable(record)) this.summary.addUnsendable(letter.id, record);
        continue;
      }
      const ofDataset = toSend.get(dataset) ?? [];
      toSend.set(dataset, ofDataset);
      ofDataset.push({ id: letter.id, record });
    }
    for (const [dataset, records] of toSend) {
      const checked = this.checkerOf(dataset).check(records.map(({ record }) => record));
      for (const [index, { id }] of records.entries()) {
        const answer = checked[index];
        if (answer !== undefined) this.summary.add(id, answer);
      }
    }
  }

  private checkerOf(dataset: Dataset): RecordChecker {
    let checker = this.checkers.get(dataset.name);
    if (checker === undefined) {
      const [table] = planTables(dataset);
      checker = new RecordChecker(dataset, (table?.key.length ?? 0) > 0);
      this.checkers.set(dataset.name, checker);
    }
    return checker;
  }
}
