/**
 * The command line as somebody's script sees it, on a real system: what it prints, and how it ends.
 * Standard input is no terminal here, so a question is never asked.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import { childEnvironment } from '#common/config/environment.js';
import { checkoutFolder } from '../../apps/cli/src/local/folders.js';
import { runToEnd } from '../../apps/cli/src/local/start-process.js';
import type { RunJson } from '../../apps/cli/src/render/run-json.js';
import { fileOf, row, rows } from '../support/small-file.js';
import { type System, startSystem } from '../support/system.js';

const MAIN = join(checkoutFolder(), 'dist', 'apps', 'cli', 'src', 'main.js');

describe('sluice on a real system', () => {
  let system: System;

  beforeAll(async () => {
    system = await startSystem();
  });

  afterAll(() => system.stop());

  const sluice = (args: string[], env: Record<string, string> = {}): ReturnType<typeof runToEnd> =>
    runToEnd(process.execPath, [MAIN, ...args], {
      cwd: system.folder,
      env: childEnvironment({ ...system.env, NO_COLOR: '1', ...env }),
      signal: AbortSignal.timeout(90_000),
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
      job: expect.any(String),
      dataset: 'tax-registration',
      mode: 'replace',
      state: 'succeeded',
      counts: { read: 22, accepted: 21, refused: 2, skipped: 0, loaded: 20, superseded: 0, warnings: 0 },
      findings: { DUPLICATE: 1, INVALID_BAN: 1 },
      seconds: expect.any(Number),
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

  it('too many refused records: exit 3', async () => {
    file('bad.csv', ...rows(90), ...Array.from({ length: 10 }, () => row(1, { ban: 'x' })));
    const args = ['run', 'tax-registration', '--source', 'bad.csv', '--yes', '--max-refused', '1%'];
    expect((await sluice(args)).code).toBe(3);
  });

  it('a source that is not there: exit 1 or 2, and its name', async () => {
    const { code, stderr } = await sluice(['run', 'tax-registration', '--source', 'missing.csv', '--yes']);
    expect([1, 2]).toContain(code);
    expect(stderr).toContain('missing.csv');
  });

  it('a job that runs already: exit 5, its id, and cancel ends it: exit 0', async () => {
    const endless = createServer((_, response) => {
      response.writeHead(200).write(fileOf(...rows(5)));
    });
    await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
    const source = `http://127.0.0.1:${(endless.address() as AddressInfo).port}/`;
    const started = await fetch(`${system.ingestorUrl}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dataset: 'tax-registration', source }),
    });
    const { id } = (await started.json()) as { id: string };
    const second = await sluice(['run', 'tax-registration', '--source', source, '--yes']);
    expect(second).toMatchObject({ code: 5, stderr: expect.stringContaining(id) });
    expect((await sluice(['cancel', id])).code).toBe(0);
    expect((await sluice(['watch', id])).code).toBe(6);
    endless.closeAllConnections();
    await new Promise((resolve) => endless.close(resolve));
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

  it('jobs, job and datasets show what there is', async () => {
    const [job] = JSON.parse((await sluice(['jobs', '--json'])).stdout) as { id: string; state: string }[];
    expect(job?.state).toBe('cancelled');
    expect((await sluice(['job', job?.id ?? ''])).stdout).toContain('cancelled');
    expect((await sluice(['datasets'])).stdout).toContain('tax-registration');
  });
});
