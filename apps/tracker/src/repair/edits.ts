import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import type {
  CheckDeadLetters,
  DeadLetterEdit,
  DeadLettersChecked,
  DeadLettersEdited,
  EditDeadLetters,
  FieldSet,
  FixDeadLetters,
  ImportDeadLetters,
  ImportedRow,
} from '#api/dead-letter-edits.js';
import type { DeadLetterSelection, RepairActionKind } from '#api/dead-letters.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import { inTransaction } from '#common/postgres/pool.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { DEFAULT_CUTTING } from '#core/record/raw-batch.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { findField, isFault } from '#core/repair/correct-record.js';
import {
  conditionOf,
  type DeadLetterCondition,
  listedId,
  namedIds,
} from '#core/repair/dead-letter-selection.js';
import type { DeadLetterKey } from '#core/repair/dead-letter-sums.js';
import { importRow } from '#core/repair/import-row.js';
import {
  currentBytes,
  currentColumns,
  type OpenDeadLetter,
  OpenDeadLetters,
} from '#core/repair/open-dead-letters.js';
import { type Correction, Corrections, Checks, writeEdits } from './corrections.js';
import { checkedSelection } from './discard.js';
import { Pattern } from './pattern.js';
import { RepairMetrics } from './repair.metrics.js';

/**
 * Corrects dead letters: they stay open, and their own bytes stay what they are.
 *
 * - ED1: a request is worked through page by page in the order of keys, each page one transaction of locked dead letters,
 *   corrections and audit. One that broke off shows how far it came.
 * - ED2: only open dead letters are corrected: what is not open any more when its page is locked is left alone, and named if
 *   it was named.
 * - ED3: a dry run reads and counts the same, and writes nothing.
 */
@Injectable()
export class Edits {
  constructor(
    private readonly database: DataSource,
    private readonly registry: DatasetRegistry,
    private readonly metrics: RepairMetrics,
  ) {}

  /** @throws SluiceError REQUEST_INVALID */
  async edit({ edits, ...change }: EditDeadLetters): Promise<DeadLettersEdited> {
    const corrections = new Corrections(this.registry);
    const wanted = eachOnce(edits, corrections);
    const ids = [...wanted.keys()];
    const walk = await this.named({ action: 'edit', ids, detail: null, ...change }, corrections);
    return walk((letter) => correctionOf(letter, wanted.get(letter.id), corrections));
  }

  /** @throws SluiceError REQUEST_INVALID */
  async fix({
    set = [],
    replace = [],
    ids,
    group,
    filter,
    ...change
  }: FixDeadLetters): Promise<DeadLettersEdited> {
    if (set.length + replace.length === 0)
      throw new ProblemError('REQUEST_INVALID', 'Name at least one change, by set or by replace.', 422);
    const changes: FieldChange[] = [
      ...set,
      ...replace.map((each) => ({ field: each.field, pattern: new Pattern(each) })),
    ];
    const selection = checkedSelection({
      ...(ids === undefined ? {} : { ids }),
      ...(group === undefined ? {} : { group }),
      ...(filter === undefined ? {} : { filter }),
    });
    const corrections = new Corrections(this.registry);
    const detail = { set, replace };
    if (selection.ids !== undefined) {
      const walk = await this.named({ action: 'fix', ids: selection.ids, detail, ...change }, corrections);
      return walk(null, (letters) => fixed(letters, changes, corrections));
    }
    const facts = { action: 'fix' as const, selection, detail, ...change };
    return this.walk(facts, conditionOf(selection), corrections, (letters) =>
      fixed(letters, changes, corrections),
    );
  }

  /** @throws SluiceError REQUEST_INVALID when `action` names no import that is under way */
  async import({ rows, action, more = false, ...change }: ImportDeadLetters): Promise<DeadLettersEdited> {
    const corrections = new Corrections(this.registry);
    const wanted = eachOnce(rows, corrections);
    const ids = [...wanted.keys()];
    const facts = { action: 'import' as const, ids, detail: null, ...change };
    const walk = await this.named(facts, corrections, { ...(action === undefined ? {} : { action }), more });
    return walk((letter) => importedInto(letter, wanted.get(letter.id), corrections));
  }

  /** What the next resubmission would send, and what would become of it. */
  async check({ force = false, ids, group, filter }: CheckDeadLetters): Promise<DeadLettersChecked> {
    const selection = checkedSelection({
      ...(ids === undefined ? {} : { ids }),
      ...(group === undefined ? {} : { group }),
      ...(filter === undefined ? {} : { filter }),
    });
    const checks = new Checks(this.registry, { force });
    const { unknown, decided } = await namedIds(poolOf(this.database), selection.ids);
    for await (const letters of this.pages(conditionOf(selection)))
      checks.add(letters.map((letter) => ({ letter, edit: letter.edit })));
    return { check: checks.summary.result(), decided, unknown };
  }

  /** Corrects dead letters that are named one by one: unknown and decided ones are problems of theirs. */
  private async named(
    { ids, ...facts }: Omit<ActionFacts, 'selection'> & { readonly ids: readonly string[] },
    corrections: Corrections,
    part: ActionPart = {},
  ): Promise<(one: CorrectOne | null, page?: CorrectPage) => Promise<DeadLettersEdited>> {
    const { unknown, decided } = await namedIds(poolOf(this.database), ids);
    for (const id of unknown) corrections.problem(id, 'UNKNOWN', 'no dead letter has this id');
    for (const id of decided) corrections.problem(id, 'DECIDED', DECIDED);
    const left = new Set(ids.filter((id) => !unknown.includes(id) && !decided.includes(id)));
    const selection = facts.action === 'import' ? {} : { ids };
    return async (one, page) => {
      const seen: CorrectPage = (letters) => {
        for (const { id } of letters) left.delete(id);
        return page === undefined ? letters.flatMap((letter) => one?.(letter) ?? []) : page(letters);
      };
      const condition = conditionOf({ ids: [...left] });
      return this.walk({ ...facts, selection }, condition, corrections, seen, part, () => {
        for (const id of left) corrections.problem(id, 'DECIDED', DECIDED);
      });
    };
  }

  /** ED1. */
  private async walk(
    facts: ActionFacts,
    condition: DeadLetterCondition,
    corrections: Corrections,
    correct: CorrectPage,
    { action: known, more = false }: ActionPart = {},
    atEnd: () => void = () => undefined,
  ): Promise<DeadLettersEdited> {
    const { dryRun = false, by = null } = facts;
    if (dryRun) {
      for await (const letters of this.pages(condition)) corrections.settle(correct(letters));
      atEnd();
      return corrections.answer(null, dryRun);
    }
    const action = known ?? (await this.begin(facts));
    if (known !== undefined) await this.assertUnderWay(known);
    const reader = new OpenDeadLetters();
    for (let after: DeadLetterKey | null = null; ;) {
      const step = await inTransaction(poolOf(this.database), async (client) => {
        const letters: readonly OpenDeadLetter[] = await reader.page(client, condition, {
          after,
          lock: true,
        });
        const writes = corrections.settle(correct(letters));
        await writeEdits(client, writes, { action, by });
        await count(client, action, writes.edits.length + writes.removals.length);
        const changed = [...writes.edits.map(({ letter }) => letter), ...writes.removals];
        return { last: letters.at(-1), changed };
      });
      this.metrics.corrected(facts.action, step.changed);
      if (step.last === undefined) break;
      after = { job: step.last.job, record: step.last.record };
    }
    atEnd();
    if (!more)
      await poolOf(this.database).query('UPDATE sluice.repair_action SET finished_at = now() WHERE id = $1', [
        action,
      ]);
    return corrections.answer(action, dryRun);
  }

  private async *pages(condition: DeadLetterCondition): AsyncGenerator<OpenDeadLetter[]> {
    const reader = new OpenDeadLetters();
    for (let after: DeadLetterKey | null = null; ;) {
      const letters = await reader.page(poolOf(this.database), condition, { after });
      const last = letters.at(-1);
      if (last === undefined) return;
      yield letters;
      after = { job: last.job, record: last.record };
    }
  }

  private async begin({ action, selection, detail, reason, by }: ActionFacts): Promise<string> {
    const id = uuidv7();
    await poolOf(this.database).query(
      `INSERT INTO sluice.repair_action (id, action, selection, detail, reason, by_whom) VALUES ($1, $2, $3, $4, $5, $6)`,
      [
        id,
        action,
        JSON.stringify(selection),
        detail === null ? null : JSON.stringify(detail),
        reason ?? null,
        by ?? null,
      ],
    );
    return id;
  }

  private async assertUnderWay(action: string): Promise<void> {
    const { rowCount } = await poolOf(this.database).query(
      `SELECT FROM sluice.repair_action WHERE id = $1 AND action = 'import' AND finished_at IS NULL`,
      [action],
    );
    if (rowCount === 0)
      throw new ProblemError('REQUEST_INVALID', `action: no import ${action} is under way.`, 422);
  }
}

/** Line end left out. */
const MAX_RECORD_BYTES = DEFAULT_CUTTING.maxRecordBytes - 1;
const TOO_LARGE = {
  reason: 'TOO_LARGE',
  message: `it would have more than the ${MAX_RECORD_BYTES} bytes that a record may have`,
} as const;
const DECIDED = 'it was decided about before, and is not corrected any more';

interface ActionFacts {
  readonly action: RepairActionKind;
  readonly selection: DeadLetterSelection;
  readonly detail: object | null;
  readonly reason?: string;
  readonly by?: string;
  readonly dryRun?: boolean;
}

interface ActionPart {
  readonly action?: string;
  readonly more?: boolean;
}

type CorrectOne = (letter: OpenDeadLetter) => Correction | null;
type CorrectPage = (letters: readonly OpenDeadLetter[]) => Correction[];
type FieldChange = FieldSet | { readonly field: string; readonly pattern: Pattern };

async function count(client: SqlClient, action: string, more: number): Promise<void> {
  if (more === 0) return;
  await client.query('UPDATE sluice.repair_action SET dead_letters = dead_letters + $2 WHERE id = $1', [
    action,
    more,
  ]);
}

/** By id in the form that lists have; the first of several counts. */
function eachOnce<T extends { readonly id: string }>(
  given: readonly T[],
  corrections: Corrections,
): Map<string, T> {
  const byId = new Map<string, T>();
  for (const each of given) {
    const id = listedId(each.id);
    if (byId.has(id))
      corrections.problem(id, 'DUPLICATE', 'its id stands there before; the first one counts');
    else byId.set(id, each);
  }
  return byId;
}

function correctionOf(
  letter: OpenDeadLetter,
  edit: DeadLetterEdit | undefined,
  corrections: Corrections,
): Correction | null {
  if (edit === undefined || corrections.dataset(letter) === null) return null;
  const { record, recordBase64, remove = false, base } = edit;
  if (base !== undefined && base !== (letter.edit?.action ?? null)) {
    corrections.problem(letter.id, 'CHANGED', 'another request has corrected it meanwhile');
    return null;
  }
  if (remove) return { letter, bytes: null };
  const bytes = record === undefined ? Buffer.from(recordBase64 ?? '', 'base64') : Buffer.from(record);
  return { letter, bytes };
}

function importedInto(
  letter: OpenDeadLetter,
  row: ImportedRow | undefined,
  corrections: Corrections,
): Correction | null {
  const dataset = corrections.dataset(letter);
  if (row === undefined || dataset === null) return null;
  const imported = importRow(letter, row, dataset);
  if ('reason' in imported) {
    corrections.problem(letter.id, imported.reason, imported.message, imported.field);
    return null;
  }
  for (const { code, field } of imported.damages) corrections.warning(letter.id, code, field);
  return { letter, bytes: imported.bytes ?? currentBytes(letter) };
}

/** Change by change, each for the whole page: a pattern is run once for all values of one. */
function fixed(
  letters: readonly OpenDeadLetter[],
  changes: readonly FieldChange[],
  corrections: Corrections,
): Correction[] {
  let standing = letters.flatMap((letter) => {
    const dataset = corrections.dataset(letter);
    return dataset === null ? [] : [{ letter, dataset, bytes: currentBytes(letter) }];
  });
  for (const change of changes) {
    const found = standing.flatMap((each) => {
      const field = findField(each.dataset, each.bytes, currentColumns(each.letter), change.field);
      if (!isFault(field)) return [{ ...each, field }];
      corrections.problem(each.letter.id, field.reason, field.message, change.field);
      return [];
    });
    const values = valuesOf(
      change,
      found.flatMap(({ field }) => field.values),
    );
    let at = 0;
    standing = found.flatMap(({ field, ...each }) => {
      const own = values.slice(at, (at += field.values.length));
      // A record has more bytes than its values have characters: it is not even written.
      const isTooLarge = own.reduce((sum, value) => sum + (value?.length ?? 0), 0) > MAX_RECORD_BYTES;
      const bytes = isTooLarge ? TOO_LARGE : field.write(own);
      if (Buffer.isBuffer(bytes) && bytes.length <= MAX_RECORD_BYTES) return [{ ...each, bytes }];
      const { reason, message } = Buffer.isBuffer(bytes) ? TOO_LARGE : bytes;
      corrections.problem(each.letter.id, reason, message, change.field);
      return [];
    });
  }
  return standing.map(({ letter, bytes }) => ({ letter, bytes }));
}

/** A pattern is asked of values only: what is null stays null. */
function valuesOf(change: FieldChange, values: readonly (string | null)[]): readonly (string | null)[] {
  if (!('pattern' in change)) return values.map(() => change.value);
  const texts = values.filter((value) => value !== null);
  const replaced = change.pattern.replace(texts);
  let at = 0;
  return values.map((value) => (value === null ? null : (replaced[at++] ?? value)));
}
