import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { settingsClassesOf } from '#test/support/docs/settings-classes.js';
import { IngestorConfig } from '../ingestor.config.js';
import { SourceKindRegistry, loadSourceKinds } from './source-kind-registry.js';
import type { SourceKind } from './source-kind.js';
import { SOURCE_KINDS } from './source-kinds.js';
import { SourceConfig } from './source.config.js';

/** SU2 is an invariant of source-kind.ts, SK1 and SK2 are those of source-kind-registry.ts. */

const CALLER = { isTrusted: false };

const withCode = (code: string, message: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

describe('the kinds of this ingestor', () => {
  it('are found in their folders, the local one last', () => {
    const names = SOURCE_KINDS.all().map(({ name }) => name);
    expect(names).toContain('http');
    expect(names.at(-1)).toBe('file');
  });

  it('are named by the page of this folder', () => {
    const page = readFileSync(new URL('./README.md', import.meta.url), 'utf8');
    for (const { name, form } of SOURCE_KINDS.all()) {
      expect(page).toMatch(new RegExp(`^\\| \`${name}\` `, 'm'));
      expect(page).toContain(form);
    }
  });

  it('name every settings class of their folders, so that the start of the ingestor checks it', async () => {
    const own = [IngestorConfig, SourceConfig] as readonly unknown[];
    const found = (await settingsClassesOf('ingestor')).filter((settings) => !own.includes(settings));
    expect(new Set(SOURCE_KINDS.settings())).toStrictEqual(new Set(found));
  });
});

describe('the kinds http and file', () => {
  /** Alone: sentences name all kinds that there are. */
  const kinds = new SourceKindRegistry(
    SOURCE_KINDS.all().filter(({ name }) => name === 'http' || name === 'file'),
  );

  it('say what an address is', () => {
    expect(kinds.addressNoun()).toBe('a URL (http, https, file) or an absolute path');
    expect(kinds.forms()).toBe('http(s)://…, file:///… or an absolute path');
    expect(kinds.beginnings()).toStrictEqual(['http://', 'https://', 'file://', '/']);
  });

  it.each([
    ['http://user:secret@host/a.csv?k=secret', { kind: 'http', display: 'http://host/a.csv?…' }],
    ['HTTPS://host', { kind: 'http', display: 'https://host/' }],
    ['file:///data/a.csv', { kind: 'file', display: '/data/a.csv' }],
    ['/data/a.csv', { kind: 'file', display: '/data/a.csv' }],
  ])('describe %s for a job row', (uri, described) => {
    expect(kinds.describe(uri, { isTrusted: true })).toStrictEqual({
      ...described,
      own: { trustedCaller: true },
    });
  });

  it.each([
    'data.csv',
    './data.csv',
    '',
    'http://',
    'secret',
    'javascript:alert(1)',
    'jdbc:postgresql://user:secret@host/db',
    'secret:secret@host/a.csv',
    'http://user:secret@',
    'file://user:secret@host:99999/',
  ])('do not read %j, and do not show it (SU2)', (uri) => {
    expect(() => kinds.parse(uri)).toThrow(
      expect.objectContaining({
        code: 'SOURCE_UNSUPPORTED',
        message: 'The source is neither a URL (http, https, file) nor an absolute path.',
      }),
    );
  });

  it.each([
    ['ftp://host/file.csv', 'ftp://host/file.csv'],
    ['s3://key:secret@bucket/path?secret#secret', 's3://bucket/path?…'],
  ])('do not read %s, and show %s', (uri, shown) => {
    expect(() => kinds.parse(uri)).toThrow(
      expect.objectContaining({
        code: 'SOURCE_UNSUPPORTED',
        message: `${shown} has a scheme that is not supported; http, https and file are.`,
      }),
    );
  });
});

function kindOf(name: string, schemes: readonly string[], isLocal = false): SourceKind {
  return {
    name,
    schemes,
    isLocal,
    form: `${name}://…`,
    settings: [],
    parse: (display) => ({ display }),
    ask: () => ({}),
    open: () => Promise.reject(new Error('It is never opened.')),
  };
}

describe('SourceKindRegistry', () => {
  it('takes a kind more without another one changing', () => {
    const kinds = new SourceKindRegistry([kindOf('file', ['file'], true), kindOf('bucket', ['s3', 'gs'])]);
    expect(kinds.describe('gs://a/b', CALLER)).toStrictEqual({
      kind: 'bucket',
      display: 'gs://a/b',
      own: {},
    });
    expect(kinds.addressNoun()).toBe('a URL (s3, gs, file) or an absolute path');
    expect(() => kinds.parse('http://host/')).toThrow(withCode('SOURCE_UNSUPPORTED', 's3, gs and file are.'));
  });

  it('hands a URL without a host to the local kind alone (SU2)', () => {
    const kinds = new SourceKindRegistry([kindOf('file', ['file'], true), kindOf('bucket', ['s3'])]);
    expect(kinds.describe('file:a', CALLER)).toStrictEqual({ kind: 'file', display: 'file:a', own: {} });
    expect(() => kinds.parse('s3:secret@host')).toThrow(
      withCode('SOURCE_UNSUPPORTED', 'nor an absolute path'),
    );
  });

  it('has no paths without a local kind', () => {
    const kinds = new SourceKindRegistry([kindOf('bucket', ['s3'])]);
    expect(() => kinds.parse('/data/a.csv')).toThrow(
      withCode('SOURCE_UNSUPPORTED', 'The source is not a URL (s3).'),
    );
  });

  it.each<[string, SourceKind[], string]>([
    ['one scheme', [kindOf('a', ['x']), kindOf('b', ['x'])], '"b" reads x:, and so does a'],
    ['one machine', [kindOf('a', ['x'], true), kindOf('b', ['y'], true)], '"b" is local, and so is a'],
    ['a scheme that is none', [kindOf('a', ['X+'])], '"a" has the wrong scheme "X+"'],
  ])('refuses two kinds for %s (SK2)', (_what, kinds, message) => {
    expect(() => new SourceKindRegistry(kinds)).toThrow(withCode('INTERNAL', message));
  });
});

describe('loadSourceKinds', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sluice-kinds-'));
  });

  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  function write(folder: string, kind: string): void {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, 'kind.ts'), kind);
  }

  it.each([
    ['without a default export', 'export const x = 1;', '"one" has no default export'],
    ['with another name than its folder', "export default { name: 'two' };", '"one" is named two'],
  ])('refuses a folder %s (SK1)', async (_what, kind, message) => {
    write('one', kind);
    mkdirSync(join(root, 'no-kind'));
    await expect(loadSourceKinds(root)).rejects.toThrow(withCode('INTERNAL', message));
  });
});
