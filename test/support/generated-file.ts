import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Generate, GenerateOptions } from '#core/dataset/generate.js';
import { generate as generateRegistrations } from '#datasets/tax-registration/generator.js';
import type { System } from './system.js';

/** A generated file of a dataset as bytes, and written into the system's folder. */
export function generatedFile(
  system: System,
  options: GenerateOptions,
  generate: Generate = generateRegistrations,
): { readonly path: string; readonly bytes: Buffer } {
  const bytes = Buffer.concat([...generate(options)]);
  const path = join(system.folder, `source-${options.seed}-${options.rows}`);
  writeFileSync(path, bytes);
  return { path, bytes };
}
