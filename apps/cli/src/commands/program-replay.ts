/** The commands for replays, as `program.ts` has all others. */
import { type Command, Option } from 'commander';
import { REPLAY_PARTS } from '#api/replays.js';
import type { Exit } from '../exit-codes.js';
import type { CliContext } from './context.js';
import { parseCount, parseMode } from './option-values.js';
import { type ReplayOptions, parseMoment, parseOffsets, replay, replays } from './replay.js';

type Add = (usage: string, description: string, example: string) => Command;

export function addReplayCommands(add: Add, context: CliContext, ended: (exit: Exit) => void): void {
  add(
    'replay',
    'Load earlier jobs of a dataset again from their raw batches; show or cancel a replay',
    'replay customers --from 2026-11-22 --to 2026-11-29',
  )
    .argument('<what>', 'the dataset; or the id of a replay, to show it; or `cancel`')
    .argument('[id]', 'with cancel: which replay')
    .option('--job <id>', 'this job: its id, a part of it, or `last`')
    .option('--from <T>', 'or the jobs that were created from this day or moment on', parseMoment)
    .option('--to <T>', 'and before this one; now when left out', parseMoment)
    .option(
      '--offsets <P:A-B,…>',
      'or the batches in these offsets of the raw topic: partition P from A on and before B',
      parseOffsets,
    )
    .addOption(
      new Option(
        '--only <what>',
        'all (the default), open dead letters alone (refused), or what is missing: these, and jobs that did not succeed',
      ).choices(REPLAY_PARTS),
    )
    .option('--mode <mode>', 'replace, append or upsert; that of each job when left out', parseMode)
    .option('--at-once <N>', 'N jobs are under way at once; they become visible in their order', parseCount)
    .option('--dry-run', 'only show what it would cover, and what is deleted')
    .option('--detach', 'do not follow it')
    .option('--yes', 'without asking')
    .option('--json', 'print one object at the end, and nothing else')
    .action(async (what: string, id: string | undefined, options: ReplayOptions) => {
      ended(await replay(context, what, id, options));
    });
  add('replays', 'List the newest replays', 'replays --dataset customers')
    .option('--dataset <name>', 'only of this dataset')
    .option('--last <N>', 'show at most N', parseCount, 20)
    .option('--json', 'print JSON instead of text')
    .action(async (options: { dataset?: string; last: number; json?: boolean }) => {
      ended(await replays(context, options));
    });
}
