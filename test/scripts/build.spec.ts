import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

/** scripts/build.js and scripts/setup.js on a small checkout of its own. */
jest.setTimeout(120_000); // tsc, on a machine that may be busy

const REPOSITORY = join(import.meta.dirname, '../..');
let checkout: string;

beforeAll(() => {
  checkout = mkdtempSync(join(tmpdir(), 'sluice-build-'));
  cpSync(join(REPOSITORY, 'scripts'), join(checkout, 'scripts'), { recursive: true });
  mkdirSync(join(checkout, 'node_modules'));
  symlinkSync(join(REPOSITORY, 'node_modules/typescript'), join(checkout, 'node_modules/typescript'));
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    outDir: 'dist',
    rootDir: '.',
    incremental: true,
    types: [],
  };
  put('tsconfig.json', JSON.stringify({ compilerOptions }));
  put('tsconfig.build.json', JSON.stringify({ extends: './tsconfig.json', include: ['apps', 'libs'] }));
  put('package.json', '{"type":"module"}');
  put('apps/loader/src/main.ts', 'export const main = 1;');
  put('libs/datasets/src/shops/shops.dataset.ts', 'export const shops = 1;');
  put('libs/datasets/src/shops/migrations/001-tables.sql', 'SELECT 1');
  put('libs/datasets/src/shops/tsconfig.app.json', '{}');
});
afterAll(() => {
  rmSync(checkout, { recursive: true });
});

function put(path: string, content: string): void {
  mkdirSync(dirname(join(checkout, path)), { recursive: true });
  writeFileSync(join(checkout, path), content);
}

function node(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: checkout, encoding: 'utf8' });
  return `${status ?? '?'} ${stdout}${stderr}`.trim();
}

const isBuilt = (): string =>
  node('-e', "import('./scripts/build.js').then((m) => console.log(m.isBuilt()))");
const isInstalled = (): string =>
  node('-e', "import('./scripts/setup.js').then((m) => console.log(m.isInstalled()))");
const inDist = (path: string): boolean => existsSync(join(checkout, 'dist', path));

/** As an edit some time after the build, however fast this test runs. */
function touchLater(path: string): void {
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(checkout, path), later, later);
}

describe('scripts/build.js', () => {
  it('B3: the same sources have the same name, others another one, and none while a build is under way', () => {
    const idOf = (): string =>
      (JSON.parse(readFileSync(join(checkout, 'dist/build.json'), 'utf8')) as { id: string }).id;
    expect(node('scripts/build.js')).toBe('0');
    const first = idOf();
    expect(first).toMatch(/^[0-9a-f]{12}$/);
    rmSync(join(checkout, 'dist'), { recursive: true });
    expect(node('scripts/build.js')).toBe('0');
    expect(idOf()).toBe(first);
    put('apps/loader/src/main.ts', 'export const main = 2;');
    expect(node('scripts/build.js')).toBe('0');
    expect(idOf()).not.toBe(first);
    put('apps/loader/src/main.ts', 'export const main: string = 3;');
    expect(node('scripts/build.js')).toMatch(/^1 /);
    expect(inDist('build.json')).toBe(false);
    put('apps/loader/src/main.ts', 'export const main = 1;');
    rmSync(join(checkout, 'dist'), { recursive: true });
  });

  it('compiles, and puts every other file beside what was compiled', () => {
    expect(isBuilt()).toBe('0 false');
    expect(node('scripts/build.js')).toBe('0');
    expect(inDist('apps/loader/src/main.js')).toBe(true);
    expect(
      readFileSync(join(checkout, 'dist/libs/datasets/src/shops/migrations/001-tables.sql'), 'utf8'),
    ).toBe('SELECT 1');
    expect(inDist('libs/datasets/src/shops/tsconfig.app.json')).toBe(false);
    expect(isBuilt()).toBe('0 true');
  });

  it('B1: removes what has no source any more', () => {
    rmSync(join(checkout, 'libs/datasets/src/shops'), { recursive: true });
    touchLater('libs/datasets/src');
    expect(isBuilt()).toBe('0 false');
    expect(node('scripts/build.js')).toBe('0');
    expect(inDist('libs/datasets/src/shops')).toBe(false);
    expect(inDist('apps/loader/src/main.js')).toBe(true);
  });

  it('builds everything again when dist was removed', () => {
    rmSync(join(checkout, 'dist'), { recursive: true });
    expect(node('scripts/build.js')).toBe('0');
    expect(inDist('apps/loader/src/main.js')).toBe(true);
  });

  it('B2: is wanted after an edit of a source, not of a test', () => {
    utimesSync(join(checkout, 'libs/datasets/src'), 0, 0);
    put('apps/loader/src/main.spec.ts', 'export {};');
    utimesSync(join(checkout, 'apps/loader/src'), 0, 0);
    touchLater('apps/loader/src/main.spec.ts');
    expect(isBuilt()).toBe('0 true');
    touchLater('apps/loader/src/main.ts');
    expect(isBuilt()).toBe('0 false');
  });

  it('fails, and does not count as built, when tsc finds an error', () => {
    put('apps/loader/src/main.ts', "export const main: number = 'one';");
    expect(node('scripts/build.js')).toMatch(/^1 [^]*main\.ts[^]*The build failed/);
    expect(isBuilt()).toBe('0 false');
  });
});

describe('scripts/setup.js', () => {
  const lock = (packages: object): string => JSON.stringify({ packages });

  it('knows whether what is installed is what the lock file says', () => {
    put(
      'package-lock.json',
      lock({
        '': {},
        'node_modules/a': { version: '1.0.0' },
        'node_modules/b': { version: '1.0.0', optional: true },
      }),
    );
    expect(isInstalled()).toBe('0 false');
    put('node_modules/.package-lock.json', lock({ 'node_modules/a': { version: '1.0.0' } }));
    expect(isInstalled()).toBe('0 true');
    put('node_modules/.package-lock.json', lock({ 'node_modules/a': { version: '1.0.1' } }));
    expect(isInstalled()).toBe('0 false');
    put('node_modules/.package-lock.json', lock({ 'node_modules/b': { version: '1.0.0' } }));
    expect(isInstalled()).toBe('0 false');
  });
});

describe('scripts/sluice.js', () => {
  it('helps in a fresh clone without installing anything', () => {
    put('docs/cli.md', readFileSync(join(REPOSITORY, 'docs/cli.md'), 'utf8'));
    const help = node('scripts/sluice.js', '--help');
    for (const command of ['up', 'run <dataset>', 'check', 'status'])
      expect(help).toContain(`\n  ${command}`);
    expect(help).toContain('not installed yet');
  });
});
