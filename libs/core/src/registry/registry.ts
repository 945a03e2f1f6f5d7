import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { DEFAULT_SCHEMA } from '../dataset/columns.js';
import { dialectProblems } from '../dataset/csv-dialect.js';
import { deletesProblems } from '../dataset/deletes.js';
import { encodingProblem } from '../source/encoding.js';
import { type ContractPlan, planContract } from '../record/compile/contract-plan.js';
import { fieldsRead } from '../record/compile/fields-read.js';
import { letImport } from './outside-imports.js';
import { type Dataset, SOURCE_FORMATS, UNKNOWN_MEMBERS_MODES, WRITE_MODES } from '../dataset/dataset.js';
import { inboxProblems } from '../dataset/inbox.js';

/**
 * Every dataset of this installation, read from disk at start: the folders of `libs/datasets/src` and
 * of each path in SLUICE_DATASET_PATHS. No list names them, so nothing can be forgotten in one.
 *
 * What is checked here, so that a wrong folder stops the process and not a job:
 * - RG1: a folder's name is its dataset's name, kebab-case without underscore; no two datasets share one.
 * - RG2: a folder has a `dataset.ts` (`.js` in the build) whose default export fits `Dataset`; a dataset that names itself has
 *   the folder's name. Without `migrations/` it is a draft, and its tables come from its contract.
 * - RG3: no two datasets write the same table.
 * - RG4: every contract is compiled into its plan, and of a CSV file without a header the contract reads columns that the
 *   dataset names: a typo stops the process, and no job.
 * The rest of the file set (spec, fixtures, generator) is the conformance test's business.
 */

export const DATASET_NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** Kafka's own limit for topic names is 249 characters, PostgreSQL's for identifiers 63 bytes. */
export const MAX_NAME_CHARACTERS = 40;
const MIGRATION_FILE = /^(\d{3})-[a-z0-9]+(-[a-z0-9]+)*\.sql$/;

/** The datasets' folder of this installation, in the sources as in the build. */
const OWN_DATASETS = fileURLToPath(new URL('../../../datasets/src', import.meta.url));

export interface RegisteredDataset {
  readonly name: string;
  readonly dataset: Dataset;
  /** Absolute; may hold `migrations/NNN-name.sql`, `README.md`, `fixtures/`. */
  readonly folder: string;
  /** In which all of its tables stand. */
  readonly schema: string;
  /** Target tables, unqualified, parents before children. */
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
  refuseClashes(registered, ({ name }) => [[name]], 'name');
  refuseClashes(registered, ({ schema, tables }) => tables.map((table) => [schema, table]), 'target table');
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
  const isDraft = !existsSync(join(folder, 'migrations'));
  const missing = [
    ...(moduleFile(folder, 'dataset') === undefined ? ['it has no dataset.ts'] : []),
    ...(isDraft ? [] : await wrongMigrations(folder)),
  ];
  if (missing.length > 0) throw invalid(folder, missing);
  const exported = named(await importDataset(folder), basename(folder));
  const problems = wrongParts(exported, basename(folder));
  if (problems.length > 0) throw invalid(folder, problems);
  const dataset = exported as Dataset;
  return { name: dataset.name, dataset, folder, ...tablesOf(folder, dataset) };
}

/** A dataset that does not name itself (`defineDataset`) has the folder's name. */
function named(exported: unknown, folderName: string): unknown {
  if (typeof exported !== 'object' || exported === null) return exported;
  return { ...exported, name: (exported as Partial<Dataset>).name || folderName };
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
  demand(
    dataset.strict === undefined || typeof dataset.strict === 'boolean',
    'strict is neither true nor false',
  );
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
  const encoding = encodingProblem(dataset.encoding);
  return [
    ...problems,
    ...dialectProblems(dataset.csv),
    ...deletesProblems(dataset.deletes, writeModes),
    ...(encoding === null ? [] : [encoding]),
    ...inboxProblems(dataset.inbox, dataset.format),
  ];
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

/** RG4. @throws SluiceError DATASET_INVALID naming the folder, for a contract that does not hold together */
function tablesOf(folder: string, dataset: Dataset): Pick<RegisteredDataset, 'schema' | 'tables'> {
  const plan = planOf(folder, dataset);
  const problems = unnamedColumns(dataset, plan);
  if (problems.length > 0) throw invalid(folder, problems);
  const { tables } = plan;
  return { schema: tables[0]?.schema ?? DEFAULT_SCHEMA, tables: tables.map(({ table }) => table) };
}

function planOf(folder: string, dataset: Dataset): ContractPlan {
  try {
    return planContract(dataset);
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    throw invalid(folder, [error.message.replace(/\.$/, '')]);
  }
}

/** Columns of the contract whose field `csv.columns` lacks. */
function unnamedColumns({ name, format, csv }: Dataset, plan: ContractPlan): string[] {
  if (format !== 'csv' || csv?.columns === undefined) return [];
  const { columns } = csv;
  return fieldsRead(plan)
    .filter((field) => field.isNeeded && !columns.includes(field.name))
    .map((field) => `csv.columns of ${name} has no "${field.name}", which column ${field.column} reads`);
}

function refuseClashes(
  registered: readonly RegisteredDataset[],
  claimsOf: (entry: RegisteredDataset) => readonly (readonly string[])[],
  what: string,
): void {
  const owners = new Map<string, RegisteredDataset>();
  for (const entry of registered) {
    for (const claim of claimsOf(entry)) {
      const key = JSON.stringify(claim);
      const owner = owners.get(key);
      if (owner) {
        const said = claim.filter((part, at) => at > 0 || claim.length === 1 || part !== DEFAULT_SCHEMA);
        throw invalid(entry.folder, [`its ${what} ${said.join('.')} is that of ${owner.folder}`]);
      }
      owners.set(key, entry);
    }
  }
}

function invalid(folder: string, problems: readonly string[]): SluiceError {
  const place = { dataset: basename(folder), file: folder };
  return new SluiceError('DATASET_INVALID', `Dataset folder ${folder}: ${problems.join('; ')}.`, place);
}
