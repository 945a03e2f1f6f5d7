import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkoutFolder } from '#local/folders.js';

/** The fixture dataset as an installation has it whose build can be exchanged while services run. */
export interface VersionedDataset {
  /** For `SLUICE_DATASET_PATHS`. */
  readonly folder: string;
  /** Every service that is started from now on has this version of the contract. */
  install(contractVersion: number): void;
}

/** @param contractVersion that is installed first */
export function versionedDataset(name: string, contractVersion: number): VersionedDataset {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-datasets-'));
  const built = join(checkoutFolder(), 'dist', 'test', 'fixtures', 'datasets', name);
  const own = join(folder, name);
  mkdirSync(own);
  for (const part of ['README.md', 'migrations'])
    cpSync(join(built, part), join(own, part), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const module of ['contract', 'prologue'])
    writeFileSync(
      join(own, `${module}.js`),
      `export * from '${pathToFileURL(join(built, module)).href}.js';\n`,
    );
  const install = (version: number): void => {
    writeFileSync(join(own, 'version'), String(version));
  };
  writeFileSync(
    join(own, 'dataset.js'),
    `import { readFileSync } from 'node:fs';
     import dataset from '${pathToFileURL(join(built, 'dataset.js')).href}';
     const contractVersion = Number(readFileSync(new URL('version', import.meta.url)));
     export default { ...dataset, contractVersion };\n`,
  );
  install(contractVersion);
  return { folder, install };
}
