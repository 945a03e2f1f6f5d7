import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { contractMetadata } from './columns.js';
import { letImport } from './outside-imports.js';
import { type Dataset, SOURCE_FORMATS, UNKNOWN_MEMBERS_MODES, WRITE_MODES } from './dataset.js';

/**
 * Every dataset of this installation, read from disk at start: the folders of `libs/datasets/src` and
 * of each path in SLUICE_DATASET_PATHS. No list names them, so nothing can be forgotten in one.
 *
 * What is checked here, so that a wrong folder stops the process and not a job:
 * - R1: a folder's name is its dataset's name, kebab-case without underscore; no two datasets share one.
 * - R2: a folder has the files that running needs, and a default export that fits `Dataset`.
 * - R3: no two datasets write the same table.
 * The rest of the file set (spec, fixtures, generator) is the conformance test's business.
 */

/** What running needs of a folder; `.ts` in the sources, `.js` in the build. */
const MODULES = ['dataset', 'contract', 'prologue'] as const;
const FILES = ['README.md'] as const;

const DATASET_NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** Kafka's own limit for topic names is 249 characters, PostgreSQL's for identifiers 63 bytes. */
const MAX_NAME_CHARACTERS = 40;
const MIGRATION_FILE = /^(\d{3})-[a-z0-9]+(-[a-z0-9]+)*\.sql$/;

/** The datasets' folder of this installation, in the sources as in the build. */
const OWN_DATASETS = fileURLToPath(new URL('../../../datasets/src', import.meta.url));

export interface RegisteredDataset {
  readonly name: string;
  readonly dataset: Dataset;
  /** Absolute; holds `migrations/NNN-name.sql`, `README.md`, `fixtures/`. */
  readonly folder: string;
  /** Target tables, parents before children. */
  readonly tables: readonly string[];
}

export class DatasetRegistry {
  private readonly byName: ReadonlyMap<string, RegisteredDataset>;

  constructor(registered: readonly RegisteredDataset[]) {
    this.byName = new Map(registered.map((entry) => [entry.name, entry]));
  }

  /** @throws SluiceError DATASET_UNKNOWN */
  get(name: string): Dataset {
    return this.entry(name).dataset;
  }

  /** In the order of their names. */
  all(): readonly Dataset[] {
    return this.entries().map(({ dataset }) => dataset);
  }

  /** @throws SluiceError DATASET_UNKNOWN */
  entry(name: string): RegisteredDataset {
    const found = this.byName.get(name);
    if (!found) {
      const known = [...this.byName.keys()].join(', ') || 'none';
      throw new SluiceError('DATASET_UNKNOWN', `There is no dataset "${name}"; known: ${known}.`);
    }
    return found;
  }

  /** Everything about each dataset, in the order of their names. */
  entries(): readonly RegisteredDataset[] {
    return [...this.byName.values()];
  }
}

/**
 * Imports and checks every dataset.
 * @param extraPaths folders of dataset folders, besides the installation's own
 * @param prepareImports makes outside folders able to import Sluice; Jest has a resolver of its own and takes no hooks
 * @throws SluiceError DATASET_INVALID naming the folder and everything that is wrong with it
 */
export async function loadRegistry(
  extraPaths: readonly string[] = [],
  prepareImports: (roots: readonly string[]) => void = letImport,
): Promise<DatasetRegistry> {
  const roots = [OWN_DATASETS, ...extraPaths.map((path) => resolve(path))];
  const folders = (await Promise.all([...new Set(roots)].map(listFolders))).flat();
  prepareImports(extraPaths.map((path) => resolve(path)));
  const registered = await Promise.all(folders.map(loadDataset));
  registered.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  refuseClashes(registered, (entry) => [entry.name], 'name');
  refuseClashes(registered, (entry) => entry.tables, 'target table');
  return new DatasetRegistry(registered);
}

async function listFolders(root: string): Promise<string[]> {
  try {
    const entries = await readdir(root, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => join(root, name));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? messageOf(error);
    throw new SluiceError('DATASET_INVALID', `The folder of datasets ${root} cannot be read (${code}).`, {
      file: root,
    });
  }
}

async function loadDataset(folder: string): Promise<RegisteredDataset> {
  const missing = [...missingFiles(folder), ...(await wrongMigrations(folder))];
  if (missing.length > 0) throw invalid(folder, missing);
  const exported = await importDataset(folder);
  const problems = wrongParts(exported, basename(folder));
  if (problems.length > 0) throw invalid(folder, problems);
  const dataset = exported as Dataset;
  const tables = tablesOf(dataset);
  if (tables.length === 0) throw invalid(folder, ['its contract has no @Table']);
  return { name: dataset.name, dataset, folder, tables };
}

function missingFiles(folder: string): string[] {
  return [
    ...FILES.filter((file) => !existsSync(join(folder, file))).map((file) => `it has no ${file}`),
    ...MODULES.filter((module) => moduleFile(folder, module) === undefined).map(
      (module) => `it has no ${module}.ts`,
    ),
  ];
}

function moduleFile(folder: string, module: string): string | undefined {
  return ['.js', '.ts'].map((ending) => join(folder, module + ending)).find((file) => existsSync(file));
}

async function wrongMigrations(folder: string): Promise<string[]> {
  const files = await readdir(join(folder, 'migrations')).catch(() => []);
  const sql = files.filter((file) => file.endsWith('.sql')).sort();
  if (sql.length === 0) return ['it has no migrations/001-name.sql'];
  return sql.flatMap((file, index) => {
    const number = MIGRATION_FILE.exec(file)?.[1];
    if (number === undefined) return [`migrations/${file} is not named NNN-name.sql`];
    return Number(number) === index + 1 ? [] : [`migrations/${file} should be number ${index + 1}`];
  });
}

async function importDataset(folder: string): Promise<unknown> {
  const file = moduleFile(folder, 'dataset') ?? '';
  try {
    const loaded = (await import(pathToFileURL(file).href)) as { default?: unknown };
    return loaded.default;
  } catch (error) {
    const isUncompiled = (error as NodeJS.ErrnoException).code === 'ERR_UNKNOWN_FILE_EXTENSION';
    const reason = isUncompiled
      ? 'it is TypeScript: build it, and name the folder that the build made'
      : messageOf(error);
    throw new SluiceError(
      'DATASET_INVALID',
      `Dataset folder ${folder}: ${basename(file)} cannot be imported (${reason}).`,
      { file },
      { cause: error },
    );
  }
}

/** What a default export lacks to be a `Dataset`; TypeScript may not have looked at folders from elsewhere. */
function wrongParts(exported: unknown, folderName: string): string[] {
  if (typeof exported !== 'object' || exported === null) return ['dataset.ts has no default export'];
  const dataset = exported as Partial<Record<keyof Dataset, unknown>>;
  const problems: string[] = [];
  const demand = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(problem);
  };
  const { name, writeModes, options } = dataset;
  demand(name === folderName, `its name is ${JSON.stringify(name)} and not the folder's`);
  demand(DATASET_NAME.test(folderName), 'its name is not kebab-case (a-z, 0-9 and single hyphens)');
  demand(
    folderName.length <= MAX_NAME_CHARACTERS,
    `its name is longer than ${MAX_NAME_CHARACTERS} characters`,
  );
  demand(isText(dataset.title), 'title is empty');
  demand(
    Number.isInteger(dataset.contractVersion) && Number(dataset.contractVersion) > 0,
    'contractVersion is not a positive integer',
  );
  demand(isOneOf(SOURCE_FORMATS, dataset.format), `format is not one of ${SOURCE_FORMATS.join(', ')}`);
  demand(typeof dataset.contract === 'function', 'contract is not a class');
  demand(
    isListOf(writeModes, (mode) => isOneOf(WRITE_MODES, mode)),
    `writeModes is not a list of ${WRITE_MODES.join(', ')}`,
  );
  demand(isOneOf(['first', 'last'], dataset.keepOfDuplicates), 'keepOfDuplicates is neither first nor last');
  demand(isShare(dataset.maxRefusedShare), 'maxRefusedShare is not between 0 and 1');
  demand(isShare(dataset.maxShrinkShare), 'maxShrinkShare is not between 0 and 1');
  demand(
    typeof options === 'object' &&
      options !== null &&
      Object.values(options).every((values) => isListOf(values, isText)),
    'options does not name a list of values for each option',
  );
  demand(dataset.defaultSource === undefined || isText(dataset.defaultSource), 'defaultSource is empty');
  demand(
    dataset.unknownMembers === undefined || isOneOf(UNKNOWN_MEMBERS_MODES, dataset.unknownMembers),
    `unknownMembers is not one of ${UNKNOWN_MEMBERS_MODES.join(', ')}`,
  );
  demand(typeof dataset.prologue === 'function', 'prologue is not a function');
  return problems;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isShare(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

function isOneOf(allowed: readonly unknown[], value: unknown): boolean {
  return allowed.includes(value);
}

function isListOf(value: unknown, isMember: (member: unknown) => boolean): boolean {
  return (
    Array.isArray(value) && value.length > 0 && value.every(isMember) && new Set(value).size === value.length
  );
}

function tablesOf(dataset: Dataset): string[] {
  const { table, children } = contractMetadata(dataset.contract);
  return [table?.name, ...children.map(({ type }) => contractMetadata(type()).childTable?.name)].filter(
    (name) => name !== undefined,
  );
}

function refuseClashes(
  registered: readonly RegisteredDataset[],
  claimsOf: (entry: RegisteredDataset) => readonly string[],
  what: string,
): void {
  const owners = new Map<string, RegisteredDataset>();
  for (const entry of registered) {
    for (const claim of claimsOf(entry)) {
      const owner = owners.get(claim);
      if (owner) throw invalid(entry.folder, [`its ${what} ${claim} is that of ${owner.folder}`]);
      owners.set(claim, entry);
    }
  }
}

function invalid(folder: string, problems: readonly string[]): SluiceError {
  const place = { dataset: basename(folder), file: folder };
  return new SluiceError('DATASET_INVALID', `Dataset folder ${folder}: ${problems.join('; ')}.`, place);
}
