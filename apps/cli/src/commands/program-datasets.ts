/** The commands for people who write datasets, as `program.ts` has all others. */
import { join } from 'node:path';
import { Argument, type Command } from 'commander';
import { checkoutFolder } from '#local/folders.js';
import type { Exit } from '../exit-codes.js';
import type { CliContext } from './context.js';
import { dataset, DATASET_ACTIONS, type DatasetAction, type DatasetOptions } from './dataset/dataset.js';
import { newDataset } from './lazy-commands.js';

type Add = (usage: string, description: string, example: string) => Command;

export function addDatasetCommands(add: Add, context: CliContext, ended: (exit: Exit) => void): void {
  add(
    'new',
    'Write a new dataset from a sample file: contract, delimiter, encoding, key',
    'new dataset customers --from customers.csv',
  )
    .addArgument(new Argument('<what>', 'what to write').choices(['dataset']))
    .argument('<name>', 'its name: a-z, 0-9 and single hyphens')
    .requiredOption('--from <file>', 'a sample: CSV in any delimiter and encoding, or NDJSON')
    .option('--key <a,b>', 'the columns that identify a record; guessed when left out', (names: string) =>
      names.split(',').map((name) => name.trim()),
    )
    .action(async (_what: string, name: string, options: { from: string; key?: string[] }) => {
      ended(await newDataset(context, name, options, join(checkoutFolder(), 'libs', 'datasets', 'src')));
    });
  add(
    'dataset',
    'Test or describe a dataset, write its next migration, or recreate the tables of one without migrations',
    'dataset migration customers',
  )
    .addArgument(new Argument('<action>', 'what to do with it').choices(DATASET_ACTIONS))
    .argument('<name>', 'one that `datasets` lists')
    .option('--write', 'with test: write the expected fixtures that are missing')
    .option('--json', 'with describe and test: print JSON instead of text')
    .option('--yes', 'with recreate: without asking')
    .action(async (action: DatasetAction, name: string, options: DatasetOptions) => {
      ended(await dataset(context, action, name, options));
    });
}
