import type pg from 'pg';
import type { TopicPlace, TracedDeadLetter } from '#api/trace.js';
import type { DeadLetterState } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { OptionValues } from '#core/dataset/dataset.js';
import type { Finding } from '#core/finding/finding.js';
import type { MessageFacts } from '#core/message/message-facts.js';
import { batchOfDeadLetter } from '#core/trace/dead-letter-batch.js';
import type { KeyFinder, Sighting } from '#core/trace/key-finder.js';
import type { WantedKey } from '#core/trace/wanted-key.js';
import { finderOrNull } from './raw-search.js';

/** Of 256 KiB each at most. */
const ROWS_AT_ONCE = 64;
const MAX_CACHED = 32;
/** Of thousands of dead letters with 128 KiB of findings each (G9). */
const SHOWN_FINDINGS = 3;
const SHOWN_CODES = 10;

export interface DeadLetterSighting {
  readonly job: string;
  readonly sighting: Sighting;
  readonly message: TopicPlace | null;
}

interface Row {
  readonly job: string;
  readonly record: string;
  readonly line: string;
  readonly byte_start: string;
  readonly byte_end: string;
  readonly codes: string[];
  readonly bytes: Buffer;
  readonly columns_id: string;
  readonly message: MessageFacts | null;
}

/**
 * Searches the dead letters of a dataset for a key: they outlive the batches that they stood in. In pages, job by job, so
 * that 500,000 of them take no more memory than 64.
 */
export class DeadLetterSearch {
  private readonly columns = new Map<string, readonly string[]>();
  private readonly jobs = new Map<string, JobInputs>();
  private readonly finders = new Map<string, KeyFinder | null>();
  private lacking = 0;

  constructor(
    private readonly pool: pg.Pool,
    private readonly wanted: WantedKey,
    private readonly job: string | null,
  ) {}

  /** Dead letters of files that do not have the fields of the key: they were not searched (TR3). */
  get withoutKey(): number {
    return this.lacking;
  }

  /** @throws what `pg` throws; the signal's reason */
  async search(found: (sighting: DeadLetterSighting) => void, signal: AbortSignal): Promise<void> {
    let after: Row | undefined;
    for (;;) {
      signal.throwIfAborted();
      const rows = await this.page(after);
      for (const row of rows) {
        const sighting = await this.sightingIn(row);
        if (sighting !== null) found({ job: row.job, sighting, message: placeOf(row.message) });
      }
      if (rows.length < ROWS_AT_ONCE) return;
      after = rows.at(-1);
    }
  }

  private async page(after: Row | undefined): Promise<Row[]> {
    const { rows } = await this.pool.query<Row>(
      `SELECT job, record, line, byte_start, byte_end, codes, bytes, columns_id, message FROM sluice.dead_letter
       WHERE dataset = $1 AND ($2::uuid IS NULL OR job = $2) AND (job, record) > ($3::uuid, $4::bigint)
       ORDER BY job, record LIMIT ${ROWS_AT_ONCE}`,
      [this.wanted.dataset.name, this.job, after?.job ?? FIRST_JOB, after?.record ?? '-1'],
    );
    return rows;
  }

  private async sightingIn(row: Row): Promise<Sighting | null> {
    const finder = await this.finderFor(row);
    if (finder === null) {
      this.lacking += 1;
      return null;
    }
    const letter = {
      ...{ record: Number(row.record), line: Number(row.line) },
      ...{ byteStart: Number(row.byte_start), byteEnd: Number(row.byte_end) },
      ...{ codes: row.codes, bytes: row.bytes, message: row.message },
    };
    try {
      return [...finder.find(batchOfDeadLetter(letter))][0] ?? null;
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code !== 'MESSAGE_INVALID') throw error;
      return [...finder.find(batchOfDeadLetter(letter, false))][0] ?? null;
    }
  }

  private async finderFor(row: Row): Promise<KeyFinder | null> {
    const columns = await this.columnsOf(row.columns_id);
    const { context: ofJob, options } = await this.jobOf(row.job);
    const context = row.message === null ? ofJob : { ...contextOf(row.message), ...ofJob };
    const key = JSON.stringify([columns, context, options]);
    const known = this.finders.get(key);
    if (known !== undefined) return known;
    return keep(this.finders, key, finderOrNull(this.wanted, { columns, context, options }));
  }

  private async columnsOf(id: string): Promise<readonly string[]> {
    const known = this.columns.get(id);
    if (known !== undefined) return known;
    const { rows } = await this.pool.query<{ names: string[] }>(
      'SELECT names FROM sluice.letter_columns WHERE id = $1',
      [id],
    );
    return keep(this.columns, id, rows[0]?.names ?? []);
  }

  private async jobOf(id: string): Promise<JobInputs> {
    const known = this.jobs.get(id);
    if (known !== undefined) return known;
    const { rows } = await this.pool.query<JobInputs>(
      `SELECT coalesce(head->'context', '{}') AS context, options FROM sluice.job WHERE id = $1
       UNION ALL SELECT context, options FROM sluice.pruned_job WHERE id = $1`,
      [id],
    );
    return keep(this.jobs, id, rows[0] ?? { context: {}, options: {} });
  }
}

/** The dead letters of these records, by `<job>:<record>`. */
export async function deadLettersOf(
  client: Pick<pg.ClientBase, 'query'>,
  keys: readonly { readonly job: string; readonly record: number }[],
): Promise<ReadonlyMap<string, TracedDeadLetter>> {
  const { rows } = await client.query<DeadLetterFacts>(
    `SELECT letter.job || ':' || letter.record AS id, stage, codes[1:${SHOWN_CODES}] AS codes, state,
       (SELECT coalesce(jsonb_agg(finding ORDER BY place), '[]')
        FROM jsonb_array_elements(findings) WITH ORDINALITY AS each (finding, place) WHERE place <= ${SHOWN_FINDINGS}) AS findings
     FROM sluice.dead_letter AS letter
     WHERE (letter.job, letter.record) IN (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS asked (job, record))`,
    [keys.map(({ job }) => job), keys.map(({ record }) => record)],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

interface DeadLetterFacts {
  readonly id: string;
  readonly stage: 'validate' | 'load';
  readonly codes: string[];
  readonly findings: Finding[];
  readonly state: DeadLetterState;
}

const FIRST_JOB = '00000000-0000-0000-0000-000000000000';

interface JobInputs {
  readonly context: Readonly<Record<string, string>>;
  readonly options: OptionValues;
}

function keep<V>(map: Map<string, V>, key: string, value: V): V {
  const oldest = map.keys().next();
  if (map.size >= MAX_CACHED && !oldest.done) map.delete(oldest.value);
  map.set(key, value);
  return value;
}

/** What the message said in place of a file's head, as far as it can be read. */
function contextOf({ headers }: MessageFacts): Readonly<Record<string, string>> {
  const value = headers.find(({ name }) => name === 'context')?.value ?? null;
  if (value === null || !('text' in value)) return {};
  try {
    const context: unknown = JSON.parse(value.text);
    if (typeof context !== 'object' || context === null) return {};
    return Object.fromEntries(
      Object.entries(context).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {};
  }
}

function placeOf(message: MessageFacts | null): TopicPlace | null {
  if (message === null) return null;
  const { topic, partition, offset } = message;
  return { topic, partition, offset };
}
