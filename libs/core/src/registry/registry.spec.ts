import { mkdir, mkdtemp, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type DatasetRegistry, loadRegistry } from './registry.js';

/** What these folders import they name by its address; that any other import works is proved by outside-datasets.e2e-spec. */
const load = (paths: readonly string[]): Promise<DatasetRegistry> => loadRegistry(paths, () => undefined);

/** A folder that fits, as its files; `parts` replaces members of the default export. */
function datasetFiles(
  name: string,
  parts: Readonly<Record<string, string>> = {},
  table = name.replaceAll('-', '_'),
  schema?: string,
) {
  const columns = new URL('../dataset/columns.ts', import.meta.url).href;
  const members = {
    name: JSON.stringify(name),
    title: '"A test"',
    contractVersion: '1',
    format: '"csv"',
    contract: 'Row',
    writeModes: '["append"]',
    keepOfDuplicates: '"first"',
    maxRefusedShare: '0.05',
    maxShrinkShare: '0.2',
    options: '{ mode: ["a", "b"] }',
    prologue: '() => undefined',
    ...parts,
  };
  const body = Object.entries(members).map(([member, value]) => `${member}: ${value}`);
  return {
    'README.md': '# A test\n',
    'dataset.js': `import { Row } from './contract.js';\nexport default { ${body.join(', ')} };\n`,
    'contract.js': `import { Column, Table } from '${columns}';
      export class Row {}
      Table({ name: '${table}', key: ['id']${schema === undefined ? '' : `, schema: '${schema}'`} })(Row);
      Column({ source: 'id' })(Row.prototype, 'id');`,
    'prologue.js': '',
    'migrations/001-tables.sql': `CREATE TABLE ${table} (id text);`,
  };
}

describe('registry', () => {
  let root: string;

  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'sluice-registry-')));
    await writeFile(join(root, 'package.json'), '{"type":"module"}');
  });

  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  async function put(folder: string, files: Readonly<Record<string, string | undefined>>): Promise<string> {
    for (const [file, content] of Object.entries(files)) {
      const path = join(root, folder, file);
      await mkdir(join(path, '..'), { recursive: true });
      if (content !== undefined) await writeFile(path, content);
    }
    return join(root, folder);
  }

  async function problemOf(...paths: string[]): Promise<SluiceError> {
    const error: unknown = await load(paths.length > 0 ? paths : [root]).catch((thrown: unknown) => thrown);
    if (!(error instanceof SluiceError))
      throw new TypeError(`No SluiceError was thrown, but ${String(error)}.`);
    return error;
  }

  it('finds every folder of its own and of the extra paths, in the order of names', async () => {
    await put('zebra', datasetFiles('zebra'));
    await put('ant-hill', datasetFiles('ant-hill'));
    await put('.hidden', {});
    const registry = await load([root]);
    const names = registry.all().map(({ name }) => name);
    expect(names).toEqual([...names].sort());
    expect(names).toEqual(expect.arrayContaining(['ant-hill', 'zebra']));
    const own = await loadRegistry();
    expect(names.filter((name) => name !== 'zebra' && name !== 'ant-hill')).toEqual(
      own.all().map(({ name }) => name),
    );
    expect(own.all()).not.toHaveLength(0);
  });

  it('names each dataset, its folder and its tables', async () => {
    const folder = await put('zebra', datasetFiles('zebra', {}, 'stripes'));
    const registry = await load([root]);
    expect(registry.get('zebra').title).toBe('A test');
    expect(registry.entry('zebra')).toMatchObject({ name: 'zebra', folder, tables: ['stripes'] });
  });

  it('takes a draft: no README, no migrations, named by its folder', async () => {
    const { 'dataset.js': dataset, 'contract.js': contract } = datasetFiles('zebra', { name: '""' });
    await put('zebra', { 'dataset.js': dataset, 'contract.js': contract });
    const registry = await load([root]);
    expect(registry.entry('zebra')).toMatchObject({
      name: 'zebra',
      tables: ['zebra'],
      dataset: { name: 'zebra' },
    });
  });

  it('throws DATASET_UNKNOWN for a name that is not there, and says which are', async () => {
    await put('zebra', datasetFiles('zebra'));
    const registry = await load([root]);
    expect(() => registry.get('toString')).toThrow(
      expect.objectContaining({
        code: 'DATASET_UNKNOWN',
        message: expect.stringContaining('zebra'),
      }),
    );
  });

  it('takes a path that is given twice once', async () => {
    await put('zebra', datasetFiles('zebra'));
    const registry = await load([root, `${root}/`]);
    expect(registry.all().filter(({ name }) => name === 'zebra')).toHaveLength(1);
  });

  describe('DATASET_INVALID names the folder and what is wrong', () => {
    // RG1
    it.each([
      [
        'another name than its folder',
        'zebra',
        datasetFiles('horse'),
        'its name is "horse" and not the folder\'s',
      ],
      ['an underscore', 'ze_bra', datasetFiles('ze_bra'), 'not kebab-case'],
      ['capitals', 'Zebra', datasetFiles('Zebra'), 'not kebab-case'],
      ['a digit first', '1zebra', datasetFiles('1zebra'), 'not kebab-case'],
      ['too long a name', 'z'.repeat(41), datasetFiles('z'.repeat(41)), 'longer than 40 characters'],
    ])('%s', async (_, folder, files, problem) => {
      const path = await put(folder, files);
      const error = await problemOf();
      expect(error.code).toBe('DATASET_INVALID');
      expect(error.message).toContain(`${path}: `);
      expect(error.message).toContain(problem);
    });

    // RG2
    it.each([
      ['dataset.js', 'it has no dataset.ts'],
      ['migrations/001-tables.sql', 'it has no migrations/001-name.sql'],
    ])('%s missing', async (file, problem) => {
      const path = await put('zebra', { ...datasetFiles('zebra'), [file]: undefined });
      const error = await problemOf();
      expect(error).toMatchObject({
        code: 'DATASET_INVALID',
        message: `Dataset folder ${path}: ${problem}.`,
      });
    });

    it.each([
      ['title', '""', 'title is empty'],
      ['contractVersion', '0', 'contractVersion is not a positive integer'],
      ['format', '"xml"', 'format is not one of csv, ndjson'],
      ['contract', '{}', 'contract is not a class'],
      ['contract', 'class {}', 'Dataset zebra, class contract: it lacks @Table'],
      ['writeModes', '[]', 'writeModes is not a list of replace, append, upsert'],
      ['writeModes', '["append", "append"]', 'writeModes is not a list of replace, append, upsert'],
      ['keepOfDuplicates', '"best"', 'keepOfDuplicates is neither first nor last'],
      ['maxRefusedShare', '1.5', 'maxRefusedShare is not between 0 and 1'],
      ['maxShrinkShare', 'undefined', 'maxShrinkShare is not between 0 and 1'],
      ['options', '{ mode: [] }', 'options does not name a list of values for each option'],
      ['defaultSource', '""', 'defaultSource is empty'],
      ['prologue', '"none"', 'prologue is not a function'],
    ])('%s: %s', async (part, value, problem) => {
      await put('zebra', datasetFiles('zebra', { [part]: value }));
      expect((await problemOf()).message).toMatch(new RegExp(`zebra: ${problem}\\.$`));
    });

    it('everything at once', async () => {
      await put('zebra', datasetFiles('zebra', { title: '""', format: '1', prologue: '1' }));
      expect((await problemOf()).message.split(';')).toHaveLength(3);
    });

    it('no default export', async () => {
      await put('zebra', { ...datasetFiles('zebra'), 'dataset.js': 'export const dataset = 1;' });
      expect((await problemOf()).message).toContain('dataset.ts has no default export');
    });

    it('a module that throws', async () => {
      await put('zebra', { ...datasetFiles('zebra'), 'dataset.js': 'throw new Error("boom");' });
      const error = await problemOf();
      expect(error).toMatchObject({ code: 'DATASET_INVALID' });
      expect(error.message).toContain('dataset.js cannot be imported (boom)');
    });

    it('a folder that was not built, in plain Node', async () => {
      // Jest compiles what it imports, so Node's own error is thrown by hand.
      const thrown = `throw Object.assign(new TypeError('.ts'), { code: 'ERR_UNKNOWN_FILE_EXTENSION' });`;
      await put('zebra', { ...datasetFiles('zebra'), 'dataset.js': thrown });
      expect((await problemOf()).message).toContain('build it, and name the folder that the build made');
    });

    it.each([
      ['002-more.sql', 'migrations/002-more.sql'],
      ['001-Tables.sql', 'is not named NNN-name.sql'],
      ['1-tables.sql', 'is not named NNN-name.sql'],
    ])('a migration called %s', async (file, problem) => {
      const folder = await put('zebra', datasetFiles('zebra'));
      await rename(join(folder, 'migrations/001-tables.sql'), join(folder, 'migrations', file));
      expect((await problemOf()).message).toContain(problem);
    });

    it('two migrations with one number', async () => {
      await put('zebra', { ...datasetFiles('zebra'), 'migrations/001-again.sql': 'SELECT 1;' });
      expect((await problemOf()).message).toContain('migrations/001-tables.sql should be number 2');
    });

    // RG1, RG3
    it('a name that another path has, too', async () => {
      await put('one/zebra', datasetFiles('zebra'));
      await put('two/zebra', datasetFiles('zebra'));
      const error = await problemOf(join(root, 'one'), join(root, 'two'));
      expect(error.message).toContain('its name zebra is that of');
      expect(error.message).toContain(join(root, 'one/zebra'));
      expect(error.message).toContain(join(root, 'two/zebra'));
    });

    it('a target table that another dataset writes', async () => {
      await put('horse', datasetFiles('horse', {}, 'animal'));
      await put('zebra', datasetFiles('zebra', {}, 'animal'));
      const error = await problemOf();
      expect(error.message).toContain(`${join(root, 'zebra')}: its target table animal is that of`);
    });

    it('a target table of another dataset’s in the same schema, and no other', async () => {
      await put('cow', datasetFiles('cow', {}, 'animal'));
      await put('horse', datasetFiles('horse', {}, 'animal', 'stable'));
      const registry = await load([root]);
      expect(registry.entry('cow')).toMatchObject({ schema: 'public', tables: ['animal'] });
      expect(registry.entry('horse')).toMatchObject({ schema: 'stable', tables: ['animal'] });
      await put('zebra', datasetFiles('zebra', {}, 'animal', 'stable'));
      const error = await problemOf();
      expect(error.message).toContain(`${join(root, 'zebra')}: its target table stable.animal is that of`);
    });

    it('a file without a header that lacks a column of the contract (RG4)', async () => {
      const filesOf = (name: string, columns: string): Record<string, string> => {
        const files = datasetFiles(name, { csv: `{ columns: ${columns} }` });
        const contract = `${files['contract.js'].replace('Column, Table', 'ChildTable, Children, Column, FromParent, SlotNumber, Table')}
          Column({ source: 'age', optional: true })(Row.prototype, 'age');
          Column({ sources: ['name', 'street'], join: ' ' })(Row.prototype, 'label');
          class Kind {}
          FromParent('id')(Kind.prototype, 'id');
          SlotNumber()(Kind.prototype, 'slot');
          Column({ source: 'code' })(Kind.prototype, 'code');
          ChildTable({ name: '${name}_kind' })(Kind);
          Children(() => Kind, { slots: [{ code: 'first' }, { code: 'second' }] })(Row.prototype, 'kinds');`;
        return { ...files, 'contract.js': contract };
      };
      await put('horse', filesOf('horse', '["no", "id", "street", "name", "first", "second"]'));
      expect((await load([root])).entry('horse').tables).toEqual(['horse', 'horse_kind']);
      await put('zebra', filesOf('zebra', '["no", "name", "first"]'));
      expect(await problemOf()).toMatchObject({
        code: 'DATASET_INVALID',
        message:
          `Dataset folder ${join(root, 'zebra')}: csv.columns of zebra has no "id", which column zebra.id reads; ` +
          'csv.columns of zebra has no "street", which column zebra.label reads; ' +
          'csv.columns of zebra has no "second", which column zebra_kind.code reads.',
      });
    });

    it('a table that a child of a child writes', async () => {
      const files = datasetFiles('cow', {}, 'animal');
      const nested = `${files['contract.js'].replace('Column, Table', 'ChildTable, Children, Column, FromParent, Table')}
        class Leg {}
        FromParent('id')(Leg.prototype, 'id');
        ChildTable({ name: 'leg' })(Leg);
        class Calf {}
        FromParent('id')(Calf.prototype, 'id');
        Children(() => Leg, { path: 'legs' })(Calf.prototype, 'legs');
        ChildTable({ name: 'calf' })(Calf);
        Children(() => Calf, { path: 'calves' })(Row.prototype, 'calves');`;
      await put('cow', { ...files, 'contract.js': nested });
      expect((await load([root])).entry('cow').tables).toEqual(['animal', 'calf', 'leg']);
      await put('zebra', datasetFiles('zebra', {}, 'leg'));
      expect((await problemOf()).message).toContain('its target table leg is that of');
    });

    it('a path that is not there', async () => {
      const error = await problemOf(join(root, 'nowhere'));
      expect(error).toMatchObject({ code: 'DATASET_INVALID' });
      expect(error.message).toContain(`${join(root, 'nowhere')} cannot be read (ENOENT)`);
    });
  });
});
