/**
 * Refused records are corrected, sent again and land once, whatever happens to the ingestor in between: what became of each
 * dead letter is what the tables say.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from '@jest/globals';
import type { DeadLetterView, DeadLettersResubmitted, ResubmitDeadLetters } from '#api/dead-letters.js';
import type { JobDetail } from '#api/jobs.js';
import { REPAIR_FAULT_POINTS } from '#common/faults/fault-point.js';
import { childEnvironment } from '#common/config/environment.js';
import { checkoutFolder } from '#local/folders.js';
import { runToEnd } from '#local/start-process.js';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { armFaultPoint, disarmFaultPoints, faultPointHit } from '../../support/fault-points.js';
import { startHeldSource } from '../../support/held-source.js';
import { clientOf, jobEnd, leaveStaleConnections, lettersOf, runJob } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

/** In mode append: what is loaded twice counts as superseded the second time. */
const DATASET = 'notes';
const DATASET_JS = `
  import { Column, Table } from '#core/dataset/columns.js';
  import { defineDataset } from '#core/dataset/define-dataset.js';
  import { int64, varchar } from '#core/dataset/kinds.js';
  class Note {}
  Column({ kind: varchar(20), required: { code: 'NO_NAME' } })(Note.prototype, 'name');
  Column({ kind: int64(), required: { code: 'NO_PRICE' } })(Note.prototype, 'price');
  Table({ name: 'note', key: ['name'] })(Note);
  export default defineDataset({ title: 'Notes', contract: Note, writeModes: ['append', 'replace'],
    maxRefusedShare: 1, maxShrinkShare: 1 });`;
const MAIN = join(checkoutFolder(), 'dist/apps/cli/src/main.js');

const FILES = { [`${DATASET}/dataset.js`]: DATASET_JS };

export const repairResubmit = scenario('resubmission', FILES, (running) => {
  let system: System;
  /** Names that are in the table, each once. */
  const landed: string[] = [];
  let files = 0;

  beforeAll(() => {
    system = running();
  });

  afterEach(async () => {
    disarmFaultPoints(system);
    for (const name of system.services) {
      if (system.isRunning(name)) system.signal(name, 'SIGCONT');
      else await system.restart(name);
    }
  });

  /** A job of a file with one good record and `count` whose price is none. @returns its dead letters */
  async function refuse(count: number): Promise<DeadLetterView[]> {
    const file = files++;
    const names = Array.from({ length: count }, (_, at) => `n${file}-${at}`);
    const source = join(system.folder, `notes-${file}.csv`);
    writeFileSync(source, ['name,price', `n${file},1`, ...names.map((name) => `${name},x`), ''].join('\n'));
    const job = await runJob(system, { dataset: DATASET, source });
    expect(job).toMatchObject({ state: 'succeeded', counts: { loaded: 1, refused: count } });
    landed.push(`n${file}`);
    return lettersOf(system, job.id);
  }

  /** As `dead-letters edit` stores it. */
  async function correct(letters: readonly DeadLetterView[]): Promise<void> {
    for (const { job, record, text } of letters)
      await query(
        system,
        `INSERT INTO sluice.dead_letter_edit (job, record, bytes, action) VALUES ($1, $2, convert_to($3, 'UTF8'), gen_random_uuid())
         ON CONFLICT (job, record) DO UPDATE SET bytes = excluded.bytes`,
        [job, record, text.replace(/x$/, '7')],
      );
  }

  const resubmit = (letters: readonly DeadLetterView[], facts: ResubmitDeadLetters = {}) =>
    clientOf(system).resubmitDeadLetters({ ids: letters.map(({ id }) => id), by: 'a test', ...facts });

  const namesOf = (letters: readonly DeadLetterView[]): string[] =>
    letters.map(({ text }) => text.split(',')[0] ?? '');

  /** The dead letters as they are now, when none of them waits for its repair job any more. */
  async function decided(letters: readonly DeadLetterView[]): Promise<DeadLetterView[]> {
    return eventually(
      async () => {
        const now = await Promise.all(
          letters.map(({ job, record }) => clientOf(system).deadLetter(job, record)),
        );
        return now.every(({ state }) => state !== 'resubmitted') && now;
      },
      'what became of the dead letters',
      120_000,
    );
  }

  async function expectTable(): Promise<void> {
    const rows = await query<{ name: string }>(system, 'SELECT name FROM public.note');
    expect(rows.map(({ name }) => name).sort()).toEqual([...landed].sort());
    const twice = await query(
      system,
      `SELECT id FROM sluice.job WHERE dataset = $1 AND repair IS NOT NULL AND (counts->>'superseded')::integer > 0`,
      [DATASET],
    );
    expect(twice).toEqual([]);
  }

  async function ended({ jobs }: DeadLettersResubmitted): Promise<JobDetail> {
    return jobEnd(system, jobs[0]?.id ?? '');
  }

  it('lands what was corrected, and refuses what was not once more, with a link to it', async () => {
    const letters = await refuse(4);
    const [first, , , last] = letters;
    await correct(letters.slice(0, 3));
    const answer = await resubmit(letters, { reason: 'prices are known now' });
    expect(answer).toMatchObject({ resubmitted: 4, notSent: [], jobs: [{ dataset: DATASET, records: 4 }] });
    const job = await ended(answer);
    expect(job).toMatchObject({
      state: 'succeeded',
      mode: 'append',
      counts: { read: 4, loaded: 3, refused: 1 },
    });
    landed.push(...namesOf(letters.slice(0, 3)));
    const now = await decided(letters);
    expect(now.map(({ state }) => state)).toEqual(['landed', 'landed', 'landed', 'refused-again']);
    const [again] = await lettersOf(system, job.id);
    expect(again).toMatchObject({
      ...{ predecessor: last?.id, attempt: 1, state: 'open', codes: ['INVALID_VALUE'] },
      message: { topic: `sluice.${DATASET}.repair`, key: { text: last?.id } },
    });
    expect(now[3]?.successor).toBe(again?.id);
    // A refused record stays one of its job; beside it stands what became of it.
    const origin = await clientOf(system).job(first?.job ?? '');
    expect(origin).toMatchObject({
      counts: { read: 5, loaded: 1, refused: 4 },
      deadLetters: { states: { open: 0, landed: 3, refusedAgain: 1 } },
    });
    await expectTable();
    // The new one can be corrected in its turn.
    if (again !== undefined) await correct([again]);
    await ended(await resubmit(again === undefined ? [] : [again]));
    expect((await decided(again === undefined ? [] : [again]))[0]).toMatchObject({ state: 'landed' });
    landed.push(...namesOf(again === undefined ? [] : [again]));
    await expectTable();
  });

  it('is a command, which waits for the job and reports it', async () => {
    const letters = await refuse(3);
    const sluice = (...args: string[]) =>
      runToEnd(process.execPath, [MAIN, 'dead-letters', 'resubmit', ...args], {
        env: childEnvironment({ ...system.env, NO_COLOR: '1' }),
        cwd: system.folder,
      });
    const job = letters[0]?.job ?? '';
    const dry = await sluice('--job', job, '--dry-run');
    expect([dry.code, dry.stdout]).toEqual([0, '3 refused records would be resubmitted.\n']);
    await correct(letters);
    const run = await sluice('--job', job, '--yes', '--wait', '--json');
    expect(run.code).toBe(0);
    const answer = JSON.parse(run.stdout) as DeadLettersResubmitted & { ended: { counts: object }[] };
    expect(answer).toMatchObject({ ok: true, resubmitted: 3, ended: [{ counts: { read: 3, loaded: 3 } }] });
    landed.push(...namesOf(letters));
    expect((await decided(letters)).map(({ state }) => state)).toEqual(['landed', 'landed', 'landed']);
    await expectTable();
    const again = await sluice('--job', job, '--yes');
    expect([again.code, again.stdout]).toEqual([
      0,
      '0 refused records are resubmitted.\nNo such record is open.\n',
    ]);
  });

  it('that is cancelled leaves the dead letters open, and they can be sent again', async () => {
    const letters = await refuse(3);
    await correct(letters);
    system.signal('loader', 'SIGSTOP');
    const answer = await resubmit(letters);
    await clientOf(system).cancelJob(answer.jobs[0]?.id ?? '');
    system.signal('loader', 'SIGCONT');
    expect((await decided(letters)).map(({ state, successor }) => [state, successor])).toEqual(
      letters.map(() => ['open', null]),
    );
    await ended(await resubmit(letters));
    expect((await decided(letters)).map(({ state }) => state)).toEqual(letters.map(() => 'landed'));
    landed.push(...namesOf(letters));
    await expectTable();
  });

  it('of two people at a time sends each record once', async () => {
    const letters = await refuse(20);
    await correct(letters);
    const answers = await Promise.all([resubmit(letters), resubmit(letters)]);
    expect(answers.map(({ resubmitted }) => resubmitted).sort((a, b) => a - b)).toEqual([0, 20]);
    for (const answer of answers) if (answer.jobs.length > 0) await ended(answer);
    landed.push(...namesOf(letters));
    await decided(letters);
    await expectTable();
  });

  it('waits for no replacement of the tables: it is refused, and done afterwards', async () => {
    const letters = await refuse(2);
    await correct(letters);
    const rows = Array.from({ length: 200 }, (_, at) => `r${at},1\n`);
    const source = await startHeldSource(Buffer.from(`name,price\n${rows.join('')}`));
    const { id } = await clientOf(system).startJob({ dataset: DATASET, source: source.url, mode: 'replace' });
    await expect(resubmit(letters)).rejects.toMatchObject({ code: 'JOB_ACTIVE' });
    source.goOn();
    expect(await jobEnd(system, id)).toMatchObject({ state: 'succeeded' });
    await source.close();
    landed.splice(0, Infinity, ...rows.map((row) => row.split(',')[0] ?? ''));
    await ended(await resubmit(letters));
    landed.push(...namesOf(letters));
    expect((await decided(letters)).map(({ state }) => state)).toEqual(['landed', 'landed']);
    await expectTable();
  });

  it.each(REPAIR_FAULT_POINTS)('lands each record once when the ingestor is killed at %s', async (point) => {
    const letters = await refuse(5);
    await correct(letters);
    armFaultPoint(system, point, 'kill');
    const broken = resubmit(letters);
    await expect(broken).rejects.toMatchObject({ name: 'SluiceError' });
    const name = await faultPointHit(system, point);
    await eventually(() => !system.isRunning(name), `${name} to be gone`);
    await system.restart(name);
    await leaveStaleConnections(system.ingestorUrl);
    // The same command again does what is left of it.
    const { resubmitted, decided: before } = await resubmit(letters);
    expect([resubmitted, before]).toEqual(point === 'repair.job-row-written' ? [0, 5] : [5, 0]);
    expect((await decided(letters)).map(({ state }) => state)).toEqual(letters.map(() => 'landed'));
    landed.push(...namesOf(letters));
    await expectTable();
  });
});
