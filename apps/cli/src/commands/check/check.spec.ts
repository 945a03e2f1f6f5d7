import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import type { Generate } from '#core/dataset/generate.js';
import { loadRegistry } from '#core/dataset/registry.js';

const FIXTURES = fileURLToPath(new URL('../../../../../test/fixtures/datasets', import.meta.url));
const entries = (await loadRegistry([FIXTURES])).entries();

interface CheckJson {
  readonly details: readonly { readonly line: number; readonly code: string; readonly severity: string }[];
  readonly counts: Readonly<Record<'read' | 'accepted' | 'refused' | 'skipped' | 'warnings', number>>;
  readonly findings: Readonly<Record<string, number>>;
}

describe('sluice check', () => {
  let folder: string;
  let cli: CliHarness;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-check-'));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  beforeEach(() => {
    cli = new CliHarness();
    cli.cwd = folder;
    cli.environment = { SLUICE_DATASET_PATHS: FIXTURES };
  });

  describe.each(entries.map(({ name, folder: datasetFolder }) => ({ name, datasetFolder })))(
    'by the contract of $name',
    ({ name, datasetFolder }) => {
      async function generate(defectShare: number, repeatShare: number): Promise<void> {
        const module = (await import(pathToFileURL(join(datasetFolder, 'generator.ts')).href)) as {
          generate: Generate;
        };
        const chunks = [...module.generate({ rows: 2000, seed: 7, defectShare, repeatShare })];
        writeFileSync(join(folder, 'file'), Buffer.concat(chunks));
      }

      it('ends with its own code when there are errors, and counts what it tells', async () => {
        await generate(0.05, 0.01);
        expect(await cli.run('check', name, 'file', '--json')).toBe(7);
        const { details, counts, findings } = JSON.parse(cli.stdout.text) as CheckJson;
        expect(counts.read).toBe(2000);
        expect(counts.accepted + counts.refused + counts.skipped).toBe(2000);
        expect(Object.values(findings).reduce((sum, count) => sum + count, 0)).toBe(details.length);
        expect(details.filter(({ severity }) => severity === 'warning')).toHaveLength(counts.warnings);
        expect(
          new Set(details.filter(({ severity }) => severity === 'error').map(({ line }) => line)).size,
        ).toBe(counts.refused);
        expect(findings['DUPLICATE']).toBeGreaterThan(0);
      });

      it('ends well when there are none', async () => {
        await generate(0, 0);
        expect(await cli.run('check', name, 'file')).toBe(0);
        expect(cli.stdout.text).toContain('2,000 records read');
        expect(cli.stdout.text).toContain('Not judged here');
      });

      it('shows no more findings than asked for, and counts all', async () => {
        await generate(0.5, 0);
        expect(await cli.run('check', name, 'file', '--limit-findings', '2')).toBe(7);
        expect(cli.stdout.text.match(/^file:\d+: /gm)).toHaveLength(2);
        expect(cli.stdout.text).toMatch(/Shown are 2 of [\d,]+ findings\./);
        expect(cli.stdout.text).toContain('A job would fail: more than ');
      });

      it.each(['\r\n', '\r\r\n', '\r'])('reads the same whatever its lines end with: %j', async (lineEnd) => {
        await generate(0, 0);
        const file = join(folder, 'file');
        writeFileSync(file, readFileSync(file, 'latin1').replaceAll('\n', lineEnd), 'latin1');
        expect(await cli.run('check', name, 'file')).toBe(0);
        expect(cli.stdout.text).toContain('2,000 records read');
        expect(cli.stdout.text).toContain('2,000 accepted');
      });

      it('refuses another file as a whole', async () => {
        writeFileSync(join(folder, 'file'), '<html></html>');
        expect(await cli.run('check', name, 'file')).toBe(7);
        expect(cli.stdout.text).toContain('file:1: error FILE_IS_HTML');
        expect(cli.stdout.text).toContain('refused as a whole');
      });
    },
  );

  const webshop = 'webshop-orders';
  const order = (more: string): string =>
    `{"orderNo":"1","placedAt":"2026-09-01T08:30:00Z","currency":"EUR","total":1${more}}\n`;

  it('judges repeats as the mode does: upsert supersedes them', async () => {
    writeFileSync(join(folder, 'file'), order('') + order(''));
    expect(await cli.run('check', webshop, 'file', '--mode', 'upsert')).toBe(0);
    expect(cli.stdout.text).toContain('1 is superseded');
    expect(await cli.run('check', webshop, 'file', '--mode', 'append')).toBe(7);
    expect(await cli.run('check', webshop, 'file', '--mode', 'merge')).toBe(2);
  });

  it('places what it finds in the head on the line that it is about', async () => {
    const { folder: datasetFolder } = entries.find(({ name }) => name === 'tax-registration')!;
    const [header = '', date = '', ...records] = readFileSync(
      join(datasetFolder, 'fixtures', 'input.csv'),
      'utf8',
    ).split(/\r?\n/);
    writeFileSync(join(folder, 'file'), `${header}\n${date}\r${records.join('\n')}`);
    expect(await cli.run('check', 'tax-registration', 'file')).toBe(7);
    expect(cli.stdout.text).toContain('file:2: error LINE_ENDS_MIXED Line 2 ends with CR alone');
  });

  it('names the members that the contract does not read', async () => {
    writeFileSync(join(folder, 'file'), order(',"updated_at":"x"'));
    expect(await cli.run('check', webshop, 'file')).toBe(0);
    expect(cli.stdout.text).toMatch(/does not read.*\n {2}updated_at: 1\n/);
  });

  it.each([
    ['blank lines only', 'tax-registration', (head: string) => `${head}${'\n'.repeat(10)}`],
    [
      'more blank lines than are read for the head',
      'tax-registration',
      (head: string) => `${head}${'\n'.repeat(80_000)}`,
    ],
    ['records of which all are refused', 'tax-registration', (head: string) => `${head}x,y\n`],
    ['empty objects only', webshop, () => '{}\n{}\n'],
  ])('says that a job would load nothing of %s', async (_, name, content) => {
    const { folder: datasetFolder } = entries.find((entry) => entry.name === name)!;
    const fixture = readFileSync(
      join(datasetFolder, 'fixtures', `input.${name === webshop ? 'ndjson' : 'csv'}`),
    );
    writeFileSync(join(folder, 'file'), content(`${fixture.toString().split('\n', 1)[0] ?? ''}\n`));
    expect(await cli.run('check', name, 'file')).toBe(7);
    expect(cli.stdout.text).toContain('JOB_NOTHING_LOADED');
  });

  it.each([
    ['an unknown dataset', ['x', 'file'], 'There is no dataset "x".'],
    ['a missing file', [entries[0]?.name ?? '', 'missing'], 'There is no file'],
    ['a directory', [entries[0]?.name ?? '', '.'], 'is a directory'],
    ['an unknown option', [entries[0]?.name ?? '', 'file', '--option', 'x=y'], 'unknown option "x"'],
  ])('%s is a usage error', async (_what, args, text) => {
    writeFileSync(join(folder, 'file'), '');
    expect(await cli.run('check', ...args)).toBe(2);
    expect(cli.stderr.text).toContain(text);
    expect(cli.stdout.text).toBe('');
  });
});
