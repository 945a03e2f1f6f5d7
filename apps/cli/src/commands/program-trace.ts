/** The commands that look back, as `program.ts` has all others. */
import type { Command } from 'commander';
import type { Exit } from '../exit-codes.js';
import type { CliContext } from './context.js';
import { type TraceOptions, trace } from './trace.js';

type Add = (usage: string, description: string, example: string) => Command;

const repeated = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function addTraceCommands(add: Add, context: CliContext, ended: (exit: Exit) => void): void {
  add(
    'trace',
    'Show why a row is missing, or as it is: which records had its key, and what became of each',
    'trace customers C-1042',
  )
    .argument('<dataset>', 'one that `datasets` lists')
    .argument(
      '<key...>',
      'the values of its key, in the order of the contract; write -- before one that begins with -',
    )
    .option(
      '--row <table.column=value>',
      'a row of a child table in these records; may be repeated',
      repeated,
    )
    .option('--job <id>', 'only what this job has read: its id, a part of it, or `last`')
    .option('--from <time>', 'only what was published from this time on, e.g. 2026-11-29')
    .option('--to <time>', 'only what was published before this time')
    .option('--json', 'print JSON instead of text')
    .action(async (dataset: string, key: string[], options: TraceOptions) => {
      ended(await trace(context, dataset, key, options));
    });
}
