import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Generate } from '../dataset/generate.js';
import { derivedGenerator } from '../derive/generator.js';
import type { RegisteredDataset } from '../registry/registry.js';

function fileOf(folder: string): string | undefined {
  return ['generator.js', 'generator.ts'].map((file) => join(folder, file)).find((file) => existsSync(file));
}

/** Whether a dataset's folder has a generator. */
export function hasOwnGenerator(folder: string): boolean {
  return fileOf(folder) !== undefined;
}

/** The dataset's own, else the derived one. @throws SluiceError DATASET_INVALID where none can be derived */
export async function generatorOf({
  dataset,
  folder,
}: Pick<RegisteredDataset, 'dataset' | 'folder'>): Promise<Generate> {
  const file = fileOf(folder);
  if (file === undefined) return derivedGenerator(dataset);
  const module = (await import(pathToFileURL(file).href)) as { readonly generate: Generate };
  return module.generate;
}
