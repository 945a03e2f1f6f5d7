/** `npm run bench` as it is typed, on few rows: what it stores and prints, how it compares, refuses, profiles and ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { childEnvironment } from '#common/config/environment.js';
import { CASES } from '../../bench/cases.js';
import type { BenchResult } from '../../bench/report/result.js';
import { checkoutFolder } from '#local/folders.js';
import { type Outcome, runToEnd } from '#local/start-process.js';
import { benchResult, caseResult } from '../support/bench-results.js';
import { eventually } from '../support/eventually.js';
import { HAS_PSQL } from '../support/has-psql.js';

const ROOT = checkoutFolder();
const SCRIPT = join(ROOT, 'scripts', 'bench.js');

/** A bound for what hangs: two minutes are needed, and on a machine that is ten times busier than that twenty. */
const LONGEST_MS = 1_800_000;
/** `partitions` starts six systems (bench-system.e2e-spec.ts starts one with such settings); the other needs Kafka Connect, which is fetched. */
const LEFT_OUT = ['partitions', 'stream-backlog'];
/** Reports what an idle stream costs, and compares it with nothing. */
const WITHOUT_RATIOS = ['stream-idle'];
const MEASURED = CASES.map(({ name }) => name).filter((name) => !LEFT_OUT.includes(name));
/** A ratio of `whole-way`. */
const INDEXED = 'to psql, cleaned rows into indexed tables';

const describeWithPsql = HAS_PSQL ? describe : describe.skip;

let folder: string;
/** Where the benches make their scratch folders, so that what they leave is seen. */
let scratch: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-e2e-'));
  scratch = join(folder, 'scratch');
  mkdirSync(scratch);
  // PostgreSQL's user has to get through when root tests.
  for (const path of [folder, scratch]) chmodSync(path, 0o711);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

const bench = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  runToEnd(process.execPath, [SCRIPT, ...args], {
    ...{ cwd: ROOT, env: childEnvironment({ TMPDIR: scratch, ...env }) },
  });

/** A result with which any other is worse. */
function unbeatable(name: string, rows: number): BenchResult {
  const ratio = { name: INDEXED, of: 'sluice', to: 'psql', target: null, min: 1e-9, median: 1e-9, max: 1e-9 };
  return benchResult({ cases: [caseResult({ name, rows, ratios: [ratio] })] });
}

describeWithPsql('npm run bench', () => {
  let file: string;
  let outcome: Outcome;
  let text: string;
  let result: BenchResult;

  beforeAll(async () => {
    file = join(folder, 'result.json');
    const best = join(folder, 'best.json');
    writeFileSync(best, JSON.stringify(unbeatable('whole-way', 2000)));
    const args = ['--rows', '2000', '--rounds', '1', '--only', MEASURED.join(',')];
    outcome = await bench([...args, '--out', file, '--compare', best]);
    text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    result = JSON.parse(text) as BenchResult;
  }, LONGEST_MS);

  it('measures each case, says where the result is, and ends with what the comparison says', () => {
    expect(outcome).toMatchObject({ code: 1 });
    expect(outcome.stdout).toContain(`Worse by more than 15 %: whole-way, ${INDEXED}.`);
    for (const name of MEASURED) expect(outcome.stdout).toContain(`## ${name}, 2,000 rows`);
    expect(outcome.stderr).not.toContain('broke off');
    expect(outcome.stdout).toContain('result.json');
    // One for all, and one without seals.
    expect(outcome.stderr.match(/^starting a system/gm)).toHaveLength(2);
  });

  it('stores machine, versions, commit and settings', () => {
    expect(result).toMatchObject({
      version: 1,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      commit: expect.stringMatching(/^([0-9a-f]{40}|unknown)$/),
      machine: { cores: expect.any(Number), cpu: expect.any(String), memoryGb: expect.any(Number) },
      settings: { 'postgres.fsync': 'on', 'postgres.shared_buffers': '512MB', 'jvm.heap': '512 MB' },
    });
    expect(Object.keys(result.versions).sort()).toEqual(['Kafka', 'Node', 'PostgreSQL', 'kafkajs', 'psql']);
    expect(result.cases.map(({ name, rows }) => [name, rows])).toEqual(MEASURED.map((name) => [name, 2000]));
  });

  it('stores nothing that names this machine', () => {
    expect(hostname()).not.toBe('');
    const found = [hostname(), ROOT, folder, '127.0.0.1', 'postgres://'].filter((name) =>
      new RegExp(`(?<![a-z])${name}(?![a-z])`).test(text),
    );
    expect(found).toEqual([]);
  });

  it('stores every measurement, and ratios of them', () => {
    const runs = result.cases.flatMap(({ name, runs: all }) => all.map((run) => ({ name, ...run })));
    expect(runs.length).toBeGreaterThan(10);
    for (const run of runs) {
      expect(run).toMatchObject({ label: expect.any(String), round: 1, rows: expect.any(Number) });
      expect(run.seconds).toBeGreaterThan(0);
    }
    for (const { name, ratios } of result.cases) {
      expect(ratios.length > 0).toBe(!WITHOUT_RATIOS.includes(name));
      for (const { median } of ratios) expect(median).toEqual(expect.any(Number));
    }
    const [wholeWay] = result.cases;
    for (const { of, to, median } of wholeWay!.ratios) {
      const [first, second] = [of, to].map(
        (label) => wholeWay!.runs.find((run) => run.label === label)!.seconds,
      );
      expect(median).toBeCloseTo(first! / second!, 9);
    }
  });

  it('reports where the seconds of a job went, and what it cost each process', () => {
    const run = result.cases[0]!.runs.find(({ label }) => label === 'sluice')!;
    const parts = Object.values(run.parts ?? {});
    expect(parts.reduce((total, part) => total + part, 0)).toBeCloseTo(run.seconds, 3);
    expect(run.brokerBytes?.['raw']).toBeGreaterThan(100 * run.rows);
    if (process.platform !== 'linux') return;
    const processes = ['ingestor', 'validator', 'loader', 'tracker', 'kafka', 'postgres', 'bench'];
    expect(Object.keys(run.peakMb ?? {}).sort()).toEqual([...processes].sort());
    expect(Object.keys(run.cpuSeconds ?? {}).sort()).toEqual([...processes, 'client'].sort());
    // No process can have used more than all cores, and Sluice has used some.
    const cores = result.machine.cores;
    for (const used of Object.values(run.cpuSeconds ?? {})) {
      expect(used).toBeLessThanOrEqual((run.seconds + 2) * cores);
    }
    expect(run.cpuSeconds?.['validator']).toBeGreaterThan(0);
    expect(run.peakMb?.['loader']).toBeGreaterThan(50);
  });

  it('leaves nothing behind', () => {
    expect(readdirSync(scratch)).toEqual([]);
  });

  describe('--show and --compare', () => {
    /** The same result, as it was before, with every median changed by so much. */
    const before = (factor: number, rows = 2000): string => {
      const cases = result.cases.map((each) => ({
        ...each,
        rows,
        ratios: each.ratios.map((ratio) => ({ ...ratio, median: ratio.median * factor })),
      }));
      const path = join(folder, `before-${factor}-${rows}.json`);
      writeFileSync(path, JSON.stringify({ ...result, cases }));
      return path;
    };

    it.each([
      ['printed again, better than before', 2, 0, 'No ratio got worse by more than 15 %'],
      ['much worse', 0.5, 1, 'Worse by more than 15 %: whole-way, '],
    ])('%s', async (_, factor, code, said) => {
      const compared = await bench(['--show', file, '--compare', before(factor)]);
      expect(compared).toMatchObject({ code, stdout: expect.stringContaining(said) });
      const { stdout } = compared;
      expect(outcome.stdout).toContain(stdout.slice(stdout.indexOf('## whole-way')).slice(0, 500));
    });

    it('refuses other rows, before anything is measured', async () => {
      const reason = 'whole-way has 2000 rows here and 500 there.';
      for (const args of [
        ['--show', file],
        ['--only', 'whole-way', '--rows', '2000'],
      ]) {
        const compared = await bench([...args, '--compare', before(1, 500)]);
        expect(compared).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(reason) });
      }
    });
  });
});

describe('npm run bench refuses', () => {
  it.each([
    [['--only', 'whole-wy', '--rows', 'many'], 'there is no case "whole-wy". Did you mean "whole-way"?'],
    [['--compare', 'none.json'], 'none.json cannot be read'],
    [['--show', 'package.json'], 'package.json is not a result of `npm run bench`.'],
  ])('%j', async (args, reason) => {
    const { code, stdout, stderr } = await bench(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(reason);
    expect(stderr).toContain('npm run bench -- --help');
  });

  it('to begin without psql', async () => {
    const { code, stderr } = await bench(['--rows', '10'], { PATH: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(/psql was not found in PATH.*install the client of PostgreSQL/);
  });
});

describeWithPsql('npm run bench -- --profile', () => {
  it(
    'writes a profile of each service and says where the time went',
    async () => {
      const profiles = join(folder, 'profiles');
      const { code, stdout } = await bench(['--profile', 'whole-way', '--rows', '1000', '--out', profiles]);
      expect(code).toBe(0);
      expect(readdirSync(profiles).sort()).toEqual(
        ['bench', 'job-1-ingestor', 'job-1-loader', 'job-1-tracker', 'job-1-validator'].map(
          (name) => `${name}.cpuprofile`,
        ),
      );
      expect(stdout).toMatch(/^job-1-loader: busy \d+\.\d s of \d+\.\d s$/m);
      expect(stdout).toMatch(/^ +\d+\.\d\d +\d+\.\d {2}\S.* {2}dist\/(apps|libs)\/\S+\.js:\d+$/m);
      expect(stdout).toContain(`job-1-loader.cpuprofile`);
      expect(stdout).not.toContain('stored in');
    },
    LONGEST_MS,
  );
});

describeWithPsql('Ctrl-C', () => {
  it(
    'ends the system in the middle of a measurement, and says so',
    async () => {
      const args = ['--rows', '500', '--rounds', '50', '--only', 'whole-way'];
      args.push('--out', join(folder, 'stopped.json'));
      const child: ChildProcess = spawn(process.execPath, [SCRIPT, ...args], {
        ...{ cwd: ROOT, env: childEnvironment({ TMPDIR: scratch }) },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let said = '';
      child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
      const closed = new Promise((resolve) => child.once('close', resolve));
      await eventually(() => said.includes('round 1, psql'), 'the first measurement', LONGEST_MS);
      child.kill('SIGINT');
      expect(await closed).toBe(130);
      expect(said).toContain('Stopped before the end');
      expect(readdirSync(scratch)).toEqual([]);
    },
    LONGEST_MS,
  );
});
