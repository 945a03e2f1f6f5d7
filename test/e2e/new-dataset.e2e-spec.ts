/** From files to rows in a clone: what `sluice new dataset` prints is typed, and nothing else is done by hand. */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { childEnvironment, unset } from '#common/config/environment.js';
import { encoderOf } from '#core/derive/encode-text.js';
import { checkoutFolder } from '#local/folders.js';
import { LocalConfig } from '#local/local.config.js';
import { runToEnd } from '#local/start-process.js';
import { RunFolder } from '../support/run-folder.js';

interface Sample {
  readonly name: string;
  readonly file: string;
  readonly content: Buffer | string;
  /** Query → the one value that it gives. */
  readonly holds: Readonly<Record<string, unknown>>;
}

const numbers = Array.from({ length: 25 }, (_, at) => at + 1);
const wide = Array.from({ length: 60 }, (_, at) => `Feld ${at + 1}`);

const SAMPLES: readonly Sample[] = [
  {
    name: 'bank-payments',
    file: 'payments.csv',
    content: encoderOf('windows-1252')(
      'Beleg-Nr.;Empfänger;Betrag;Datum\r\n' +
        numbers.map((n) => `00${n};Müller & Söhne;${n}.250,50;${n}.03.2026\r\n`).join('') +
        'Summe;25\r\n',
    ),
    holds: {
      'SELECT count(*)::int FROM bank_payment': 25,
      "SELECT betrag::text FROM bank_payment WHERE beleg_nr = '007'": '7250.50',
      "SELECT empfänger FROM bank_payment WHERE beleg_nr = '0025'": 'Müller & Söhne',
      "SELECT datum::text FROM bank_payment WHERE beleg_nr = '0025'": '2026-03-25',
    },
  },
  {
    name: 'dumped-users',
    file: 'users.csv',
    content: numbers
      .map((n) => `${n},user ${n % 7},${n % 2 === 0 ? '\\N' : '2026-01-05 10:00:00'}\n`)
      .join(''),
    holds: {
      'SELECT count(*)::int FROM dumped_user': 25,
      'SELECT count(*)::int FROM dumped_user WHERE column3 IS NULL': 12,
      'SELECT column3::text FROM dumped_user WHERE column1 = 1': '2026-01-05 10:00:00',
    },
  },
  {
    name: 'measurements',
    file: 'measurements.tsv',
    content: `sensor\tmeasuredAt\tvalue\n${numbers.map((n) => `s${n}\t2026-01-05T10:00:00Z\t${n}.5\n`).join('')}`,
    holds: {
      'SELECT count(*)::int FROM measurement': 25,
      "SELECT value::text FROM measurement WHERE sensor = 's3'": '3.5',
      "SELECT (measured_at = '2026-01-05 10:00:00+00') FROM measurement LIMIT 1": true,
    },
  },
  {
    name: 'web-orders',
    file: 'orders.ndjson',
    content: numbers
      .map((n) => {
        const taxes = [{ rate: 5, amount: '0.50' }];
        const items = Array.from({ length: n % 3 }, (_, at) => ({ sku: `A${at}`, price: at + 0.25, taxes }));
        return `${JSON.stringify({ id: n, customer: { name: '王小明' }, tags: ['new', 'x'], items })}\n`;
      })
      .join(''),
    holds: {
      'SELECT count(*)::int FROM web_order': 25,
      'SELECT customer_name FROM web_order WHERE id = 3': '王小明',
      'SELECT tags[1] FROM web_order WHERE id = 3': 'new',
      'SELECT count(*)::int FROM web_order_item': 25,
      'SELECT price::text FROM web_order_item WHERE id = 2 AND position = 2': '1.25',
      'SELECT count(*)::int FROM web_order_item_tax WHERE rate = 5': 25,
    },
  },
  {
    name: 'companies',
    file: 'companies.csv',
    content: encoderOf('big5')(
      `統一編號,公司名稱,資本額\n${numbers.map((n) => `0${1234500 + n},台北股份有限公司,${n}000\n`).join('')}`,
    ),
    holds: {
      'SELECT count(*)::int FROM company': 25,
      'SELECT 公司名稱 FROM company LIMIT 1': '台北股份有限公司',
      "SELECT 資本額::text FROM company WHERE 統一編號 = '01234507'": '7000',
    },
  },
  {
    name: 'stock-levels',
    file: 'stock.csv',
    content: `warehouse,shelf,pieces\n${numbers.map((n) => `W${n % 5},${Math.floor((n - 1) / 5)},3\n`).join('')}`,
    holds: {
      'SELECT count(*)::int FROM stock_level': 25,
      "SELECT pieces::int FROM stock_level WHERE warehouse = 'W2' AND shelf = 4": 3,
    },
  },
  {
    name: 'wide-things',
    file: 'wide.csv',
    content: `${wide.join(',')}\n${numbers.map((n) => wide.map((_, at) => n * 100 + at).join(',')).join('\n')}\n`,
    holds: {
      'SELECT count(*)::int FROM wide_thing': 25,
      'SELECT feld60::int FROM wide_thing WHERE feld1 = 2500': 2559,
    },
  },
];

/** Of README, contract and dataset.ts together. */
const MAX_LINES = 80;

describe('a new dataset', () => {
  const checkout = checkoutFolder();
  const folder = new RunFolder('new-dataset');
  const copy = join(folder.path, 'copy');
  const own = 'libs/datasets/src';
  const local = join(folder.path, 'local');
  /** What was printed for each sample. */
  const printed = new Map<string, string>();
  let client: pg.Client | undefined;

  const run = async (script: string, args: readonly string[], cwd = copy): Promise<string> => {
    const { code, stdout, stderr } = await runToEnd(process.execPath, [join(copy, script), ...args], {
      cwd,
      env: childEnvironment({ ...unset(LocalConfig), SLUICE_LOCAL_FOLDER: local, NO_COLOR: '1' }),
      signal: AbortSignal.timeout(280_000),
    });
    if (code !== 0)
      throw new Error(`${script} ${args.join(' ')} ended with ${code ?? 'a signal'}:\n${stdout}${stderr}`);
    return stdout;
  };
  const sluice = (...args: string[]): Promise<string> => run('scripts/sluice.js', args, folder.path);
  const git = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runToEnd('git', args, { cwd: copy });
    if (code !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
    return stdout;
  };

  beforeAll(async () => {
    const { stdout } = await runToEnd(
      'git',
      ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
      {
        cwd: checkout,
      },
    );
    for (const file of stdout.split('\0').filter((name) => name !== '')) {
      mkdirSync(dirname(join(copy, file)), { recursive: true });
      cpSync(join(checkout, file), join(copy, file), { preserveTimestamps: true });
    }
    cpSync(join(checkout, 'dist'), join(copy, 'dist'), { recursive: true, preserveTimestamps: true });
    // Compiler and lint look at datasets and what these import: a new one changes nothing of the rest, which is built.
    for (const name of ['tsconfig.json', 'tsconfig.build.json']) {
      const settings = JSON.parse(readFileSync(join(copy, name), 'utf8')) as object;
      writeFileSync(join(copy, name), JSON.stringify({ ...settings, include: [own] }));
    }
    symlinkSync(join(checkout, 'node_modules'), join(copy, 'node_modules'));
    await git('init', '--quiet');
    await git('add', '--all');
    for (const { file, content } of SAMPLES) writeFileSync(join(folder.path, file), content);
  });

  afterAll(async () => {
    await client?.end();
    await sluice('down').catch(() => undefined);
    await folder.remove();
  });

  it('is written from each sample, formatted, in few lines, and touches nothing else', async () => {
    for (const { name, file } of SAMPLES) {
      // As built, so that the seven do not build each other.
      const args = ['new', 'dataset', name, '--from', file];
      printed.set(name, await run('dist/apps/cli/src/main.js', args, folder.path));
      const files = ['contract.ts', 'dataset.ts', 'README.md'].map((one) =>
        readFileSync(join(copy, own, name, one), 'utf8'),
      );
      expect(files.join('').split('\n').length - 1).toBeLessThanOrEqual(MAX_LINES);
    }
    const changed = (await git('status', '--porcelain', '--untracked-files=all'))
      .split('\n')
      .filter((line) => line.startsWith('??'))
      .map((line) => line.slice('?? '.length));
    const written = SAMPLES.flatMap(({ name }) =>
      ['README.md', 'contract.ts', 'dataset.ts'].map((one) => `${own}/${name}/${one}`),
    );
    expect(changed.filter((path) => path !== 'node_modules').sort()).toEqual(written.sort());
    await run('node_modules/prettier/bin/prettier.cjs', ['--check', ...written]);
    const sources = written.filter((path) => path.endsWith('.ts'));
    await run('node_modules/eslint/bin/eslint.js', ['--max-warnings', '0', ...sources]);
  });

  it('loads its sample by the commands that were printed', async () => {
    const commands = new Set([...printed.values()].flatMap((text) => commandsIn(text)));
    expect(commands.size).toBe(1 + SAMPLES.length);
    for (const command of commands) await sluice(...command.split(' '));
    const state = JSON.parse(readFileSync(join(local, 'state.json'), 'utf8')) as { databaseUrl: string };
    client = new pg.Client({ connectionString: state.databaseUrl });
    await client.connect();
    for (const [query, value] of SAMPLES.flatMap(({ holds }) => Object.entries(holds))) {
      const { rows } = await client.query({ text: query, rowMode: 'array' });
      expect([query, rows[0]?.[0]]).toEqual([query, value]);
    }
  });

  it('passes its tests, and a first migration finds the tables as its own', async () => {
    for (const { name } of SAMPLES) {
      expect(await run('dist/apps/cli/src/main.js', ['dataset', 'test', name])).not.toContain('FAILED');
      await run('dist/apps/cli/src/main.js', ['dataset', 'migration', name]);
    }
    const migrated = await sluice('migrate');
    for (const { name, holds } of SAMPLES) {
      expect(migrated).toContain(`${name}/001-tables.sql (made by the draft)`);
      const [query = ''] = Object.keys(holds);
      expect((await client?.query({ text: query, rowMode: 'array' }))?.rows).toEqual([[25]]);
    }
    expect(await sluice('dataset', 'migration', 'companies')).toContain('no migration is needed');
  });
});

/** Lines that begin with the program, without it. */
function commandsIn(text: string): string[] {
  return [...text.matchAll(/^ +npx sluice (.*)$/gm)].map(([, command = '']) => command);
}
