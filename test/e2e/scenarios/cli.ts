/**
 * The command line as a user's script sees it, on a real system: what it prints, and how it ends.
 * Standard input is no terminal here, so a question is never asked.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import { childEnvironment } from '#common/config/environment.js';
import { checkoutFolder } from '#local/folders.js';
import { runToEnd } from '#local/start-process.js';
import type { RunJson } from '../../../apps/cli/src/render/run-json.js';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { clientOf } from '../../support/run-job.js';
import { fileOf, row, rows } from '../../support/small-file.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const MAIN = join(checkoutFolder(), 'dist', 'apps', 'cli', 'src', 'main.js');

export const cli = scenario('sluice on a real system', {}, (running) => {
  let system: System;

  beforeAll(async () => {
    system = running();
    await query(system, 'TRUNCATE tax_registration CASCADE');
  });

  const sluice = (args: string[], env: Record<string, string> = {}): ReturnType<typeof runToEnd> =>
    runToEnd(process.execPath, [MAIN, ...args], {
      cwd: system.folder,
      env: childEnvironment({ ...system.env, NO_COLOR: '1', ...env }),
      signal: AbortSignal.timeout(240_000),
    });

  function file(name: string, ...lines: string[]): string {
    const path = join(system.folder, name);
    writeFileSync(path, fileOf(...lines));
    return path;
  }

  it('run: a relative path, one JSON object, exit 0', async () => {
    file('good.csv', ...rows(20), row(3), row(9, { ban: '=1+1' }));
    const { code, stdout } = await sluice(['run', 'tax-registration', '--source', 'good.csv', '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as RunJson;
    expect(report).toEqual({
      ok: true,
      job: expect.any(String),
      dataset: 'tax-registration',
      mode: 'replace',
      state: 'succeeded',
      counts: {
        read: 22,
        accepted: 21,
        refused: 2,
        skipped: 0,
        loaded: 20,
        inserted: 20,
        updated: 0,
        unchanged: 0,
        deleted: 0,
        superseded: 0,
        warnings: 0,
      },
      findings: { DUPLICATE: 1, INVALID_BAN: 1 },
      categories: { DUPLICATE: 'key', INVALID_BAN: 'value' },
      seconds: expect.any(Number),
      error: null,
      pauseReason: null,
      pauseDetail: null,
      problem: null,
      unknownMembers: [],
      wait: null,
      resumable: false,
      discarded: null,
    });
  });

  it('dead-letters: the refused rows as a CSV for a spreadsheet, formulas defused', async () => {
    const { code } = await sluice(['dead-letters', '--export', 'refused.csv']);
    expect(code).toBe(0);
    const text = readFileSync(join(system.folder, 'refused.csv'), 'utf8');
    expect(text.startsWith('\u{feff}')).toBe(true);
    const letters = parse<Record<string, string>>(text, { bom: true, columns: true });
    expect(letters.map((letter) => letter['統一編號'])).toEqual(
      expect.arrayContaining([expect.stringMatching(/^\d{8}$/), "'=1+1"]),
    );
  });

  it('run over rows without a terminal and without --yes: a usage error, and nothing is started', async () => {
    const { code, stderr } = await sluice(['run', 'tax-registration', '--source', 'good.csv']);
    expect(code).toBe(2);
    expect(stderr).toContain('--yes');
  });

  it.each([
    ['an unknown dataset', ['run', 'tax-registrations', '--source', 'good.csv', '--yes'], /tax-registration/],
    ['an unknown flag', ['run', 'tax-registration', '--sauce', 'good.csv'], /--source/],
    [
      'an unknown mode',
      ['run', 'tax-registration', '--source', 'good.csv', '--mode', 'overwrite', '--yes'],
      /replace/,
    ],
    ['an unknown command', ['rum'], /run/],
  ])('%s: exit 2, and what would be right', async (_, args, says) => {
    const { code, stderr } = await sluice(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
  });

  /** A job that fails, since a tenth of its records is refused. */
  async function failedJob(): Promise<string> {
    file('bad.csv', ...rows(90), ...Array.from({ length: 10 }, () => row(1, { ban: 'x' })));
    const args = ['run', 'tax-registration', '--source', 'bad.csv', '--yes', '--max-refused', '1%', '--json'];
    const { code, stdout } = await sluice(args);
    expect(code).toBe(3);
    return (JSON.parse(stdout) as RunJson).job;
  }

  it('too many refused records: exit 3; resume with a higher limit: exit 0; then nothing to resume: exit 8', async () => {
    const id = await failedJob();
    for (const form of [id, id.slice(-8), 'last'])
      expect((await sluice(['job', form])).stdout).toContain(`npx sluice resume ${id}`);
    const resumed = await sluice(['resume', id, '--max-refused', '20%', '--json']);
    expect(resumed.code).toBe(0);
    expect(JSON.parse(resumed.stdout)).toMatchObject({ job: id, state: 'succeeded', counts: { read: 100 } });
    expect(await sluice(['resume', id])).toMatchObject({
      code: 8,
      stderr: expect.stringContaining('[JOB_NOTHING_TO_RESUME]'),
    });
  });

  it('run --strict: one refused record fails it, exit 3, and nothing is visible; resume --max-refused: exit 0', async () => {
    const visible = (): Promise<unknown[]> => query(system, 'SELECT ban FROM tax_registration ORDER BY ban');
    const before = await visible();
    file('strict.csv', ...rows(120), row(121, { ban: 'x' }));
    const args = ['run', 'tax-registration', '--source', 'strict.csv', '--yes', '--strict', '--json'];
    const { code, stdout } = await sluice(args);
    expect(code).toBe(3);
    const { job: id, ...report } = JSON.parse(stdout) as RunJson;
    expect(report).toMatchObject({
      ok: false,
      state: 'failed',
      error: { code: 'STRICT_REFUSED', message: '1 of 121 records were refused, and the job is strict.' },
    });
    expect(await visible()).toEqual(before);
    expect(await sluice(['resume', id])).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('STRICT_REFUSED'),
    });
    expect(await visible()).toEqual(before);
    const resumed = await sluice(['resume', id, '--max-refused', '1%', '--json']);
    expect(resumed.code).toBe(0);
    expect(JSON.parse(resumed.stdout)).toMatchObject({
      job: id,
      state: 'succeeded',
      counts: { loaded: 120 },
    });
    expect(await visible()).toHaveLength(120);
  });

  it('discard: a usage error without --yes, then exit 0, and no resuming any more: exit 1', async () => {
    const id = await failedJob();
    expect((await sluice(['discard', id])).code).toBe(2);
    expect((await sluice(['discard', id, '--yes'])).code).toBe(0);
    expect(await sluice(['resume', id])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[JOB_RESUME_REFUSED]'),
    });
  });

  it('a source that is not there: exit 1 or 2, and its name', async () => {
    const { code, stderr } = await sluice(['run', 'tax-registration', '--source', 'missing.csv', '--yes']);
    expect([1, 2]).toContain(code);
    expect(stderr).toContain('missing.csv');
    const asJson = await sluice(['run', 'tax-registration', '--source', 'missing.csv', '--yes', '--json']);
    expect(asJson.code).toBe(code);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ ok: false, error: { code: 'USAGE_INVALID' } });
  });

  /** More than the 64 KiB of a source that are read before a job runs; less than a batch. */
  const HELD_ROWS = 1_000;

  /** A running job whose source does not end before `release`. */
  async function heldJob(): Promise<{ id: string; source: string; release: () => Promise<void> }> {
    const held: ServerResponse[] = [];
    const server = createServer((_, response) => {
      response.writeHead(200).write(fileOf(...rows(HELD_ROWS)));
      held.push(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const { id } = await clientOf(system).startJob({
      dataset: 'tax-registration',
      source,
      allowShrink: true,
    });
    await eventually(async () => (await clientOf(system).job(id)).state === 'running', 'the job to run');
    return {
      id,
      source,
      release: async () => {
        for (const response of held) response.end();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  it('a job that runs already: exit 5, its id; cancel ends it and says what was dropped: exit 0', async () => {
    const { id, source, release } = await heldJob();
    const second = await sluice(['run', 'tax-registration', '--source', source, '--yes']);
    expect(second).toMatchObject({ code: 5, stderr: expect.stringContaining(id) });
    const cancelled = await sluice(['cancel', id]);
    expect(cancelled).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('It had loaded nothing yet.'),
    });
    expect((await sluice(['watch', id])).code).toBe(6);
    expect((await sluice(['resume', id])).code).toBe(1);
    await release();
  });

  it('pause: exit 0; following a paused job: exit 9 and what to do; continue follows it to its end: exit 0', async () => {
    const { id, release } = await heldJob();
    expect((await sluice(['pause', id])).code).toBe(0);
    const watched = await sluice(['watch', id]);
    expect(watched).toMatchObject({ code: 9, stdout: expect.stringContaining(`npx sluice continue ${id}`) });
    expect((await sluice(['pause', id])).code).toBe(1);
    const continued = sluice(['continue', id, '--json']);
    await eventually(async () => (await clientOf(system).job(id)).state === 'running', 'the job to go on');
    await release();
    const { code, stdout } = await continued;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ job: id, state: 'succeeded', counts: { loaded: HELD_ROWS } });
    expect((await sluice(['continue', id])).code).toBe(1);
  });

  it('a system that is not there: exit 4, and what to do', async () => {
    const away = 'http://127.0.0.1:1';
    const env = { SLUICE_INGESTOR_URL: away, SLUICE_TRACKER_URL: away };
    const { code, stderr } = await sluice(['run', 'tax-registration', '--source', 'good.csv', '--yes'], env);
    expect(code).toBe(4);
    expect(stderr).toContain('sluice up');
  });

  it('check: every finding with line and code, without the system: exit 7', async () => {
    const nowhere = { KAFKA_BROKERS: '127.0.0.1:1', DATABASE_URL: 'postgres://127.0.0.1:1/none' };
    const { code, stdout } = await sluice(['check', 'tax-registration', 'good.csv'], nowhere);
    expect(code).toBe(7);
    expect(stdout).toMatch(/23\b.*DUPLICATE/s);
    expect(stdout).toMatch(/24\b.*INVALID_BAN/s);
    file('clean.csv', ...rows(3));
    expect((await sluice(['check', 'tax-registration', 'clean.csv'], nowhere)).code).toBe(0);
  });

  it('rebuild beside a tracker: exit 1, which one runs, and its read model as it was', async () => {
    const jobs = await sluice(['jobs', '--json']);
    const { code, stdout } = await sluice(['rebuild', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      error: { code: 'TRACKER_RUNNING', message: expect.stringContaining('127.0.0.1') },
    });
    expect((await sluice(['jobs', '--json'])).stdout).toBe(jobs.stdout);
  });

  it('jobs, job and datasets show what there is', async () => {
    const [job] = JSON.parse((await sluice(['jobs', '--json'])).stdout) as { id: string; state: string }[];
    expect((await sluice(['job', job?.id ?? ''])).stdout).toContain(job?.state);
    expect((await sluice(['parked'])).stdout).toBe('No parked messages.\n');
    expect((await sluice(['datasets'])).stdout).toContain('tax-registration');
  });
});
