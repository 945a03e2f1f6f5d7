/** The commands for inboxes and streams, as `program.ts` has all others. */
import { Argument, type Command } from 'commander';
import type { Exit } from '../exit-codes.js';
import type { CliContext } from './context.js';
import { parseCount } from './option-values.js';
import { STREAM_ACTIONS, type StreamAction, type StreamOptions, stream, streams } from './streams.js';

type Add = (usage: string, description: string, example: string) => Command;

export function addStreamCommands(add: Add, context: CliContext, ended: (exit: Exit) => void): void {
  add('streams', 'List the streams: state, lag, rate', 'streams')
    .option('--json', 'print JSON instead of text')
    .action(async (options: { json?: boolean }) => {
      ended(await streams(context, options));
    });
  add(
    'stream',
    'Show, start, pause, resume or drain the stream of a dataset: what its inbox takes becomes rows',
    'stream customers start',
  )
    .argument('<dataset>', 'one that `streams` lists')
    .addArgument(
      new Argument(
        '[action]',
        'status when left out; hours adds up by the hour; drain takes what is there now, and stops',
      )
        .choices(STREAM_ACTIONS)
        .default('status'),
    )
    .option('--max-records <N>', 'with start: a job has at most N records', parseCount)
    .option('--max-bytes <N>', 'with start: or at most N bytes of messages', parseCount)
    .option('--max-ms <N>', 'with start: or begins N ms after its first message at the latest', parseCount)
    .option('--skip-lost', 'with resume: continue behind messages that are gone from the inbox')
    .option('--detach', 'with drain: do not wait for its end')
    .option('--last <N>', 'with hours: of the last N hours; 24 when left out', parseCount)
    .option('--json', 'print JSON instead of text')
    .action(async (dataset: string, action: StreamAction, options: StreamOptions) => {
      ended(await stream(context, dataset, action, options));
    });
  add('produce', 'Send the records of a file to the inbox of a dataset', 'produce customers customers.csv')
    .argument('<dataset>', 'one that `streams` lists')
    .argument('<file>', 'plain text, as `run` takes it; - reads standard input')
    .option('--json', 'print JSON instead of text')
    .action(async (dataset: string, file: string, options: { json?: boolean }) => {
      const { produce } = await import('./produce/produce.js'); // kafkajs: no other command waits for it
      ended(await produce(context, dataset, file, options));
    });
}
