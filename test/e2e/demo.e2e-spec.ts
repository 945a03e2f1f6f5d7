/**
 * `sluice demo` on a real system: its file, its stream and its repair; what it knows as its own rows (DM2), which streams it leaves alone
 * (DI1), and that nothing of it is left when it is interrupted (DI2, DF2).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { JobSummary } from '#api/jobs.js';
import { isFinal } from '#core/job/job-state.js';
import { buildProgram } from '../../apps/cli/src/commands/program.js';
import { CliHarness, LOCAL_STATE, noLocalSystem } from '../support/cli/cli-harness.js';
import { query } from '../support/expect-tables.js';
import { clientOf } from '../support/run-job.js';
import { fileOf, row, rows } from '../support/small-file.js';
import { type System, startSystem } from '../support/system.js';

const DATASET = 'tax-registration';
const ROWS = 2_000;

describe('sluice demo on a real system', () => {
  let system: System;
  let cli: CliHarness;

  beforeAll(async () => {
    system = await startSystem();
  });

  afterAll(() => system.stop());

  beforeEach(() => {
    cli = harness();
  });

  afterEach(async () => {
    expect(await activeJobs()).toEqual([]);
  });

  function harness(): CliHarness {
    const fresh = new CliHarness();
    fresh.environment = { ...system.env };
    fresh.cwd = system.folder;
    fresh.waiting = { quietMs: 500, pollMs: 100, patienceMs: 120_000, settleMs: 60_000 };
    fresh.local = noLocalSystem({
      up: () =>
        Promise.resolve({ ...LOCAL_STATE, ingestorUrl: system.ingestorUrl, trackerUrl: system.trackerUrl }),
    });
    return fresh;
  }

  const demo = (): Promise<number> => cli.run('demo', '--rows', String(ROWS));

  async function sluice(...args: string[]): Promise<void> {
    const another = harness();
    expect({ code: await another.run(...args), stderr: another.stderr.text }).toMatchObject({ code: 0 });
  }

  /** Refused without a terminal, and done after a "yes". */
  async function agreedDemo(): Promise<void> {
    cli = harness();
    expect(await demo()).toBe(2);
    expect(cli.stderr.text).toContain('Pass --yes to replace them.');
    cli = harness().onTerminal();
    cli.stdin.write('yes\n');
    expect(await demo()).toBe(0);
  }

  async function activeJobs(): Promise<JobSummary[]> {
    const active: JobSummary[] = [];
    for await (const job of clientOf(system).jobs({})) if (!isFinal(job.state)) active.push(job);
    return active;
  }

  const streamState = async (): Promise<string> => (await clientOf(system).stream(DATASET)).state;

  const typedIn = (text: string): string[] =>
    [...text.matchAll(/^\$ npx sluice (.*)$/gm)].map(([, line = '']) => line);

  it('loads a file, shows a stream, repairs a group of dead letters, and leaves the stream stopped', async () => {
    expect({ code: await demo(), stderr: cli.stderr.text }).toMatchObject({ code: 0 });
    const text = cli.stdout.text;
    const commands = typedIn(text);
    expect(commands.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      `stream ${DATASET}`,
      `produce ${DATASET}`,
      `produce ${DATASET}`,
      'streams',
      `stream ${DATASET}`,
      'dead-letters groups',
      'dead-letters show',
      'dead-letters fix',
      'dead-letters fix',
      'dead-letters resubmit',
      'dead-letters resubmit',
      `trace ${DATASET}`,
    ]);
    // A defect may run over a line end: what is left of its record is blank, and is not sent.
    const sent = [...text.matchAll(/^(\d+) records sent to sluice\.tax-registration\.inbox\.$/gm)].map(
      ([, count]) => Number(count),
    );
    expect(sent).toEqual([expect.closeTo(300, -1), 300]);
    const [, read] = /^In \d+ jobs?: (\d+) read, \d+ inserted, \d+ updated,.* \d+ refused/m.exec(text) ?? [];
    expect(Number(read)).toBe((sent[0] ?? 0) + (sent[1] ?? 0));
    const [, refused, repaired] = /Of the stream: refused (\d+), later repaired (\d+)/.exec(text) ?? [];
    expect(Number(repaired)).toBeGreaterThan(0);
    expect(Number(refused)).toBeGreaterThan(Number(repaired));
    expect(await streamState()).toBe('stopped');

    const program = buildProgram(cli.context(), () => undefined);
    for (const line of commands) {
      const [name = '', ...args] = line.split(' ');
      const command = program.commands.find((each) => each.name() === name);
      expect({ line, unknown: command?.parseOptions(args).unknown }).toEqual({ line, unknown: [] });
    }

    const key = /^trace tax-registration (\d{8})/.exec(commands.at(-1) ?? '')?.[1];
    expect(await query(system, `SELECT ban FROM tax_registration WHERE ban = '${key ?? ''}'`)).toHaveLength(
      1,
    );
  });

  it('DM2: replaces the rows of a demo, stream and repair included, without a question', async () => {
    expect({ code: await demo(), stderr: cli.stderr.text }).toMatchObject({ code: 0 });
  });

  it('DI1: leaves alone a stream that runs, or whose inbox holds what no job has taken', async () => {
    await sluice('stream', DATASET, 'start');
    expect(await demo()).toBe(0);
    expect(cli.stderr.text).toContain(`the stream of ${DATASET} is running: the demo leaves it alone`);
    expect(await streamState()).toBe('running');
    await sluice('stream', DATASET, 'drain');

    writeFileSync(join(system.folder, 'mine.csv'), fileOf(...rows(2)));
    await sluice('produce', DATASET, 'mine.csv');
    cli = harness();
    expect(await demo()).toBe(0);
    expect(cli.stderr.text).toContain('has 2 records waiting in its inbox: the demo leaves it alone');
    expect((await clientOf(system).stream(DATASET)).lagRecords).toBe(2);
  });

  it('DM2: asks before it replaces rows of messages that no demo has sent', async () => {
    await sluice('stream', DATASET, 'start');
    await sluice('stream', DATASET, 'drain');
    await agreedDemo();
  });

  it('DM2: asks before it replaces rows of a repair of other dead letters', async () => {
    writeFileSync(join(system.folder, 'bad.csv'), fileOf(...rows(1), row(1, { ban: '12' })));
    await sluice('run', DATASET, '--source', 'bad.csv', '--mode', 'upsert');
    const [job] = await query<{ id: string }>(system, `SELECT id FROM sluice.job ORDER BY id DESC LIMIT 1`);
    await agreedDemo();
    await sluice('dead-letters', 'fix', `${job?.id ?? ''}:1`, '--set', '統一編號=04595257');
    await sluice('dead-letters', 'resubmit', `${job?.id ?? ''}:1`, '--wait');
    await agreedDemo();
  });

  it.each([
    ['before the stream', `stream ${DATASET} start`],
    ['while it sends', 'more.csv'],
    ['while it waits', 'changed.csv'],
    ['before the correction', 'dead-letters fix'],
    ['while the repair job runs', '--wait'],
  ])('DI2, DF2: Ctrl-C %s leaves neither a running stream nor a job', async (_, shown) => {
    const code = demo();
    await cli.stdout.until(shown);
    cli.pressCtrlC();
    expect(await code).toBe(130);
    expect(await streamState()).toBe('stopped');
    expect((await clientOf(system).stream(DATASET)).lagRecords).toBe(0);
  });
});
