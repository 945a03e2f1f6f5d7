import { setTimeout as delay } from 'node:timers/promises';
import type { DeadLetterView } from '#api/dead-letters.js';
import { isFinal } from '#core/job/job-state.js';
import { sourcesOfOrigin } from '#core/dataset/columns.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { planContract } from '#core/record/compile/contract-plan.js';
import { FieldValues } from '#core/repair/field-value.js';
import type { SluiceClient } from '../../client.js';
import { formatCount } from '../../render/format.js';
import { PROGRAM } from '../../render/program-name.js';
import { chunksOf } from '../check/judge-file.js';
import { type CliContext, write } from '../context.js';
import { editedText } from '../dead-letters/edited-text.js';
import { groups } from '../dead-letters/groups.js';
import { resubmittedText } from '../dead-letters/resubmit.js';
import { show } from '../dead-letters/show.js';
import { shortId } from '../job-id.js';
import { recordsOfFile } from '../produce/records-of-file.js';
import { sayOn } from '../system.js';
import { trace } from '../trace.js';
import { userName } from '#common/access/user-name.js';
import type { StreamShown } from './demo-stream.js';
import { followSilently } from './follow-silently.js';
import { typed } from './typed.js';

/**
 * The repair of the demo: one group of the dead letters that its stream has made, from the reasons to the row.
 *
 * Which group can be corrected by one value is found out by dry runs: the value is one that an accepted record of the same file
 * has in the field. A field of the key is left alone, for with another record's key it would be another record.
 *
 * - DF1: only dead letters of the demo's own jobs are corrected and sent.
 * - DF2: a repair job that is under way when the demo is interrupted is cancelled: its dead letters are open again.
 */
const MOST_REPAIRED = 5;
const SHOWN_GROUPS = 5;
const REASON = 'sluice demo';
const LOOK_EVERY_MS = 100;
const LONGEST_LOOK_MS = 10_000;

/** Dead letters of one group, and what passes in their place. */
interface Repair {
  readonly letters: readonly DeadLetterView[];
  readonly field: string;
  readonly value: string;
}

/** @throws the signal's reason once it is aborted; SluiceError */
export async function showRepair(
  context: CliContext,
  client: SluiceClient,
  dataset: Dataset,
  { jobs, file }: StreamShown,
  signal: AbortSignal,
): Promise<void> {
  const repair = await findRepair(client, dataset, jobs, file);
  if (repair === null) {
    sayOn(context)(
      'none of the dead letters of the stream can be corrected by one value: the demo ends here',
    );
    return;
  }
  const { letters, field, value } = repair;
  const [first] = letters;
  if (first === undefined) return;
  const ids = letters.map(({ id }) => id);
  const shortIds = letters.map(({ job, record }) => `${shortId(job)}:${record}`);
  const resubmission = { ids, reason: REASON, by: userName() };
  const fix = { ids, set: [{ field, value }], reason: REASON, by: userName() };
  const fixWords = ['dead-letters', 'fix', ...shortIds, '--set', `${field}=${value}`];

  await typed(context, 'dead-letters', 'groups', '--dataset', dataset.name, '--limit', String(SHOWN_GROUPS));
  await groups(context, client, [], { dataset: dataset.name, limit: SHOWN_GROUPS });
  await typed(context, 'dead-letters', 'show', shortIds[0] ?? '');
  await show(context, client, [first.id], {});
  signal.throwIfAborted();
  await typed(context, ...fixWords, '--dry-run');
  await write(context.stdout, editedText(await client.fixDeadLetters({ ...fix, dryRun: true })));
  signal.throwIfAborted();
  await typed(context, ...fixWords);
  await write(context.stdout, editedText(await client.fixDeadLetters(fix)));
  await typed(context, 'dead-letters', 'resubmit', ...shortIds, '--dry-run');
  await write(
    context.stdout,
    resubmittedText(await client.resubmitDeadLetters({ ...resubmission, dryRun: true })),
  );
  signal.throwIfAborted();
  await typed(context, 'dead-letters', 'resubmit', ...shortIds, '--wait');
  const answer = await client.resubmitDeadLetters(resubmission);
  await write(context.stdout, resubmittedText(answer));
  const [job] = answer.jobs;
  if (job === undefined) return;
  await untilOver(context, client, job.id, signal);
  await showOutcome(context, client, jobs, ids.length, signal);
  const key = keyOf(dataset, first);
  if (key === null) return;
  await typed(context, 'trace', dataset.name, ...key, '--job', shortId(job.id));
  await trace(context, dataset.name, key, { job: job.id });
}

/** The largest group of which each dead letter passes with one value; null when there is none. DF1. */
async function findRepair(
  client: SluiceClient,
  dataset: Dataset,
  jobs: readonly string[],
  file: string,
): Promise<Repair | null> {
  const keyFields = new Set(keyFieldsOf(dataset).flat());
  const byGroup = new Map<string, DeadLetterView[]>();
  for (const job of jobs)
    for await (const letter of client.deadLetters({ job, state: 'open' })) {
      const field = onlyFieldOf(letter);
      if (field === null || keyFields.has(field)) continue;
      const key = JSON.stringify([letter.group, field]);
      byGroup.set(key, [...(byGroup.get(key) ?? []), letter]);
    }
  const candidates = [...byGroup.values()].sort((a, b) => b.length - a.length);
  const values = await acceptedValues(dataset, file);
  for (const all of candidates) {
    const letters = all.slice(0, MOST_REPAIRED);
    const field = letters[0] === undefined ? null : onlyFieldOf(letters[0]);
    const value = field === null ? undefined : values(field);
    if (field === null || value === undefined) continue;
    const ids = letters.map(({ id }) => id);
    const { edited, check } = await client.fixDeadLetters({ ids, set: [{ field, value }], dryRun: true });
    if (edited === ids.length && check.passing === ids.length) return { letters, field, value };
  }
  return null;
}

/** The field that all errors of the dead letter are about; null when there is no such one. */
function onlyFieldOf({ findings }: DeadLetterView): string | null {
  const fields = new Set(findings.filter(({ severity }) => severity === 'error').map(({ field }) => field));
  const [field = null] = fields;
  return fields.size === 1 ? field : null;
}

/** @returns a value that an accepted record of the file has in a field; undefined when all of them are empty */
async function acceptedValues(
  dataset: Dataset,
  file: string,
): Promise<(field: string) => string | undefined> {
  const { columns, batches } = await recordsOfFile(dataset, chunksOf(file), file);
  const accepted: Buffer[] = [];
  for await (const records of batches)
    accepted.push(...records.filter(({ key }) => key !== null).map(({ value }) => value));
  const values = new FieldValues();
  return (field) =>
    accepted.map((bytes) => values.valueOf(bytes, field, columns, dataset)).find((value) => value !== '');
}

/** Of each column of the key, in the order of the contract: the fields that it is made of. */
function keyFieldsOf(dataset: Dataset): (readonly string[])[] {
  const { key, columns } = planContract(dataset);
  return key.map((target) => {
    const column = columns.find((each) => each.target === target);
    return column === undefined ? [] : sourcesOfOrigin(column.origin);
  });
}

/** The key of the record, as `trace` takes it; null when it cannot be read from single fields. */
function keyOf(dataset: Dataset, { text, columns }: DeadLetterView): string[] | null {
  const values = new FieldValues();
  const key = keyFieldsOf(dataset).map(([field, another]) =>
    field === undefined || another !== undefined
      ? ''
      : values.valueOf(Buffer.from(text), field, columns, dataset),
  );
  return key.length === 0 || key.includes('') ? null : key;
}

/** DF2 */
async function untilOver(
  context: CliContext,
  client: SluiceClient,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const { job } = await followSilently(context, client, id, signal);
  if (signal.aborted && !isFinal(job.state)) {
    sayOn(context)('cancelling the repair job');
    await client.cancelJob(id).catch(() => undefined);
  }
  signal.throwIfAborted();
  const { loaded = 0, refused = 0 } = job.counts ?? {};
  await write(
    context.stdout,
    `Job ${shortId(id)} ${job.state}: ${formatCount(loaded)} loaded, ${formatCount(refused)} refused.\n`,
  );
}

/** What the pages of the stream's jobs say from now on; the tracker learns it a moment after the repair job has ended. */
async function showOutcome(
  context: CliContext,
  client: SluiceClient,
  jobs: readonly string[],
  repaired: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + LONGEST_LOOK_MS;
  for (;;) {
    const views = await Promise.all(jobs.map((id) => client.job(id)));
    const refused = views.reduce((sum, { counts }) => sum + (counts?.refused ?? 0), 0);
    const landed = views.reduce((sum, { deadLetters }) => sum + (deadLetters.states?.landed ?? 0), 0);
    if (landed >= repaired || Date.now() > deadline) {
      const shown = views.find(({ deadLetters }) => (deadLetters.states?.landed ?? 0) > 0)?.id;
      await write(
        context.stdout,
        `\nOf the stream: refused ${formatCount(refused)}, later repaired ${formatCount(landed)}` +
          `${shown === undefined ? '' : ` (${PROGRAM} job ${shortId(shown)})`}.\n`,
      );
      return;
    }
    await delay(LOOK_EVERY_MS, undefined, { signal });
  }
}
