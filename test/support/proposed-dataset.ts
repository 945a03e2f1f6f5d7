import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Dataset } from '#core/dataset/dataset.js';
import { propose } from '../../apps/cli/src/commands/new-dataset/new-dataset.js';
import type { Proposal } from '../../apps/cli/src/commands/new-dataset/proposal.js';
import { filesOf } from '../../apps/cli/src/commands/new-dataset/write-contract.js';

export interface Proposed {
  readonly proposal: Proposal;
  /** File name → content. */
  readonly files: Readonly<Record<string, string>>;
}

/** What `sluice new dataset` would write for a sample that is a whole file. */
export function proposed(
  sample: Buffer | string,
  { name = 'things', file = 'things.csv', key = [] as readonly string[] } = {},
): Proposed {
  const bytes = Buffer.from(sample);
  const proposal = propose(name, { bytes, isWhole: true }, { file, key, usedTables: [] });
  return { proposal, files: filesOf(proposal) };
}

/** The same as the registry would have it, written to a folder, which names it. */
export async function importProposed({ files }: Proposed, folder: string): Promise<Dataset> {
  mkdirSync(folder, { recursive: true });
  for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content);
  const module = (await import(pathToFileURL(join(folder, 'dataset.ts')).href)) as { default: Dataset };
  return { ...module.default, name: basename(folder) };
}
