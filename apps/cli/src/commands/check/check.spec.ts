import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import type { Generate } from '#core/dataset/generate.js';
import { inboxColumns } from '#core/dataset/inbox.js';
import { loadRegistry } from '#core/registry/registry.js';

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

      it('ends with its own code when there are errors, and counts what it reports', async () => {
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

  describe('messages on standard input', () => {
    async function checked(text: string, name: string, ...more: string[]): Promise<number> {
      cli = new CliHarness();
      cli.environment = { SLUICE_DATASET_PATHS: FIXTURES };
      cli.stdin.end(text);
      return cli.run('check', name, '-', '--messages', ...more);
    }

    it('judges each line as the stream would: line N is message N', async () => {
      expect(await checked(order('') + '\n' + order('') + '{}{}\n[1]', webshop, '--json')).toBe(7);
      const { details, counts } = JSON.parse(cli.stdout.text) as CheckJson;
      expect(counts).toMatchObject({ read: 5, accepted: 2, refused: 3, superseded: 1 });
      expect(details.map(({ line, code }) => [line, code])).toEqual([
        [2, 'NOT_ONE_RECORD'],
        [4, 'MALFORMED_ROW'],
        [5, 'MALFORMED_ROW'],
      ]);
    });

    it('takes CSV without a header, by the columns of the contract or by those of the producer', async () => {
      const tax = 'tax-registration';
      const { dataset } = entries.find((entry) => entry.name === tax)!;
      const columns = inboxColumns(dataset);
      const values = new Map([
        ['營業地址', 'addr'],
        ['統一編號', '04126516'],
        ['營業人名稱', 'name'],
        ['資本額', '1'],
        ['使用統一發票', 'N'],
      ]);
      const line = (names: readonly string[]): string =>
        `${names.map((name) => values.get(name)).join(',')}\n`;
      expect(await checked(line(columns), tax)).toBe(0);
      expect(cli.stdout.text).toContain('1 record read');
      const reversed = columns.toReversed();
      expect(await checked(line(reversed), tax)).toBe(7);
      expect(await checked(line(reversed), tax, '--header', `columns=${reversed.join()}`)).toBe(0);
      expect(await checked(line(columns), tax, '--header', 'columns=a,a')).toBe(7);
      expect(cli.stdout.text).toContain('standard input:1: error BAD_MESSAGE_HEADER');
      expect(await checked(line(columns), tax, '--header', 'content-type=application/json')).toBe(7);
      expect(cli.stdout.text).toContain('standard input:1: error WRONG_CONTENT_TYPE');
    });

    it('names what would pause the stream, and ends well below that only without errors', async () => {
      expect(await checked('[1]\n'.repeat(120), webshop, '--limit-findings', '1')).toBe(7);
      expect(cli.stdout.text).toContain('The stream would be paused');
      expect(cli.stdout.text).not.toContain('A job would fail');
    });

    it('ends with its own code when nothing comes', async () => {
      expect(await checked('', webshop)).toBe(7);
      expect(cli.stderr.text + cli.stdout.text).toContain('0 records read');
    });

    it('is what headers need', async () => {
      expect(await cli.run('check', webshop, '-', '--header', 'columns=name')).toBe(2);
      expect(cli.stderr.text).toContain('--messages');
    });

    it('never holds more of a line than a record may have', async () => {
      const long = 'x'.repeat(9 * 1024 * 1024);
      expect(await checked(`${long}\n${order('')}`, webshop)).toBe(7);
      expect(cli.stdout.text).toMatch(/^standard input:1: error RECORD_TOO_LARGE/m);
      expect(cli.stdout.text).toContain('1 accepted');
    });
  });

  it('reads a file from standard input', async () => {
    cli.stdin.end(order('') + '[1]\n');
    expect(await cli.run('check', webshop, '-')).toBe(7);
    expect(cli.stdout.text).toMatch(/^standard input:2: error /m);
    expect(cli.stdout.text).toContain('2 records read');
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
