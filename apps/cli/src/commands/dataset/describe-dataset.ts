import { describeDataset as describe, describeInMarkdown } from '#core/derive/describe.js';
import type { RegisteredDataset } from '#core/registry/registry.js';
import type { Exit } from '../../exit-codes.js';
import { successJson } from '../../render/envelope.js';
import { type CliContext, write } from '../context.js';
import type { DatasetOptions } from './dataset.js';

/** `sluice dataset describe NAME`: its columns and findings, as tables for its README. */
export async function describeDataset(
  context: CliContext,
  entry: RegisteredDataset,
  { json = false }: DatasetOptions,
): Promise<Exit> {
  const described = describe(entry.dataset);
  await write(context.stdout, json ? successJson({ dataset: described }) : describeInMarkdown(described));
  return 'success';
}
