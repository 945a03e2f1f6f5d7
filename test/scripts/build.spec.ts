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
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

/** scripts/build.js and scripts/setup.js on a small checkout of its own. */

const REPOSITORY = join(import.meta.dirname, '../..');
let checkout: string;

beforeEach(() => {
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
    // A tenth of the work: the default library is a browser's, and is checked each time.
    lib: ['es2022'],
    skipLibCheck: true,
  };
  put('tsconfig.json', JSON.stringify({ compilerOptions }));
  put('tsconfig.build.json', JSON.stringify({ extends: './tsconfig.json', include: ['apps', 'libs'] }));
  put('package.json', '{"type":"module"}');
  put('apps/loader/src/main.ts', 'export const main = 1;');
  put('libs/datasets/src/shops/shops.dataset.ts', 'export const shops = 1;');
  put('libs/datasets/src/shops/migrations/001-tables.sql', 'SELECT 1');
  put('libs/datasets/src/shops/tsconfig.app.json', '{}');
});
afterEach(() => {
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

function build(): void {
  expect(node('scripts/build.js')).toBe('0');
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
  it('BD3: the same sources have the same name, others another one, and none while a build is under way', () => {
    const idOf = (): string =>
      (JSON.parse(readFileSync(join(checkout, 'dist/build.json'), 'utf8')) as { id: string }).id;
    build();
    const first = idOf();
    expect(first).toMatch(/^[0-9a-f]{12}$/);
    rmSync(join(checkout, 'dist'), { recursive: true });
    build();
    expect(idOf()).toBe(first);
    put('apps/loader/src/main.ts', 'export const main = 2;');
    build();
    expect(idOf()).not.toBe(first);
    put('apps/loader/src/main.ts', 'export const main: string = 3;');
    expect(node('scripts/build.js')).toMatch(/^1 /);
    expect(inDist('build.json')).toBe(false);
  });

  it('compiles, and puts every other file beside what was compiled', () => {
    expect(isBuilt()).toBe('0 false');
    build();
    expect(inDist('apps/loader/src/main.js')).toBe(true);
    expect(
      readFileSync(join(checkout, 'dist/libs/datasets/src/shops/migrations/001-tables.sql'), 'utf8'),
    ).toBe('SELECT 1');
    expect(inDist('libs/datasets/src/shops/tsconfig.app.json')).toBe(false);
    expect(isBuilt()).toBe('0 true');
  });

  it('BD4: copies what is not TypeScript without the compiler, and compiles what has changed, come or gone', () => {
    build();
    const compiler = join(checkout, 'node_modules/typescript');
    const table = 'libs/datasets/src/shops/migrations/002-more.sql';
    rmSync(compiler);
    put(table, 'SELECT 2');
    touchLater('libs/datasets/src/shops/migrations');
    expect(isBuilt()).toBe('0 false');
    build();
    expect(readFileSync(join(checkout, 'dist', table), 'utf8')).toBe('SELECT 2');
    const saved = join(checkout, 'saved');
    cpSync(join(checkout, 'dist'), saved, { recursive: true, preserveTimestamps: true });
    const changes: (() => void)[] = [
      () => {
        touchLater('apps/loader/src/main.ts');
      },
      () => {
        // As a file that was moved here: older than the build.
        put('libs/datasets/src/shops/moved.ts', 'export {};');
        for (const path of ['apps/loader/src/main.ts', 'libs/datasets/src/shops/moved.ts'])
          utimesSync(join(checkout, path), 0, 0);
      },
      () => {
        rmSync(join(checkout, 'libs/datasets/src/shops/moved.ts'));
        rmSync(join(checkout, 'libs/datasets/src/shops/shops.dataset.ts'));
      },
    ];
    for (const change of changes) {
      change();
      expect(node('scripts/build.js')).toMatch(/^1 [^]*typescript/);
      rmSync(join(checkout, 'dist'), { recursive: true });
      cpSync(saved, join(checkout, 'dist'), { recursive: true, preserveTimestamps: true });
    }
    put('libs/datasets/src/shops/shops.dataset.ts', '');
    utimesSync(join(checkout, 'libs/datasets/src/shops/shops.dataset.ts'), 0, 0);
    build();
  });

  it('BD1: removes what has no source any more', () => {
    build();
    expect(inDist('libs/datasets/src/shops')).toBe(true);
    rmSync(join(checkout, 'libs/datasets/src/shops'), { recursive: true });
    touchLater('libs/datasets/src');
    expect(isBuilt()).toBe('0 false');
    build();
    expect(inDist('libs/datasets/src/shops')).toBe(false);
    expect(inDist('apps/loader/src/main.js')).toBe(true);
  });

  it('builds everything again when dist was removed', () => {
    build();
    rmSync(join(checkout, 'dist'), { recursive: true });
    build();
    expect(inDist('apps/loader/src/main.js')).toBe(true);
  });

  it('BD2: is wanted after an edit of a source, not of a test', () => {
    build();
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
