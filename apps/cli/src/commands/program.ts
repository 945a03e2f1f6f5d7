import { Argument, Command, CommanderError, Option } from 'commander';
import { JOB_STATES } from '#api/job-words.js';
import { EXISTING_KEYS } from '#core/dataset/dataset.js';
import { EXIT_CODES, type Exit, exitOfError } from '../exit-codes.js';
import { PrintedError, asksForJson, errorJson, errorOf, failureJson } from '../render/envelope.js';
import { errorText } from '../render/error-text.js';
import { PROGRAM } from '../render/program-name.js';
import { choosingContext } from './choose-context.js';
import { type CliContext, write } from './context.js';
import { datasets } from './datasets.js';
import { addDeadLetterCommand } from './dead-letters/program-dead-letters.js';
import { env, settings } from './env.js';
import { job, jobs } from './jobs.js';
import { check, demo } from './lazy-commands.js';
import { addAccessCommands } from './program-access.js';
import { addDatasetCommands } from './program-datasets.js';
import { addReplayCommands } from './program-replay.js';
import { addStreamCommands } from './program-streams.js';
import { addTraceCommands } from './program-trace.js';
import { collectOption, parseCount, parseMode, parseShare } from './option-values.js';
import { warnOfLocalSystem } from './other-build.js';
import { PARKED_ACTIONS, type ParkedAction, parked } from './parked.js';
import { rebuild } from './rebuild.js';
import { watch } from './report-job.js';
import { run } from './run.js';
import { cancel, continueJob, discard, pause, resume } from './steer.js';
import { doctor, down, logs, restart, status, up } from './system.js';

/**
 * Runs one command line.
 * @param args without the program's own name
 * @returns the code that the process ends with; everything that went wrong has been printed
 */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  let exit: Exit = 'success';
  const program = buildProgram(context, (ended) => {
    exit = ended;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    exit = await reportError(context, error, asksForJson(args));
  }
  return EXIT_CODES[exit].code;
}

/** For people on stderr, and for scripts that asked for JSON on stdout too. */
async function reportError(context: CliContext, error: unknown, json: boolean): Promise<Exit> {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 'success';
    const message = error.message.replace(/^error: /, '');
    if (json) await write(context.stdout, failureJson(errorOf('USAGE_INVALID', message)));
    return 'usage'; // commander has printed it on stderr
  }
  const isPrinted = error instanceof PrintedError;
  const what = isPrinted ? error.cause : error;
  if (json && !isPrinted) await write(context.stdout, failureJson(errorJson(what)));
  context.stderr.write(errorText(what));
  return exitOfError(what);
}

/** Every command with its options; `ended` receives how the one that ran has ended. */
export function buildProgram(outer: CliContext, ended: (exit: Exit) => void): Command {
  const { context, addOption } = choosingContext(outer);
  const program = new Command('sluice')
    .description('Moves records through Kafka into PostgreSQL, and reports what happened to each of them.')
    .version(context.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showSuggestionAfterError()
    .addHelpText('after', `\nExit codes:\n${exitCodeLines()}\nMore: docs/cli.md`);
  const add = (usage: string, description: string, example: string): Command => {
    const command = program.command(usage).description(description);
    return command
      .showHelpAfterError(`  to do: see \`${PROGRAM} ${command.name()} --help\``)
      .addHelpText('after', `\nExample:\n  $ ${PROGRAM} ${example}`);
  };
  program.showHelpAfterError(`  to do: see \`${PROGRAM} --help\``);
  addSystemCommands(add, context, ended);
  addJobCommands(add, context, ended);
  addSteeringCommands(add, context, ended);
  addRecordCommands(add, context, ended);
  addStreamCommands(add, context, ended);
  addTraceCommands(add, context, ended);
  addReplayCommands(add, context, ended);
  addDatasetCommands(add, context, ended);
  addAccessCommands(add, context, ended);
  addOption(program);
  return program;
}

type Add = (usage: string, description: string, example: string) => Command;
type Ended = (exit: Exit) => void;

function addSystemCommands(add: Add, context: CliContext, ended: Ended): void {
  add('up', 'Start Kafka, PostgreSQL and the services, and wait until they are ready', 'up')
    .option('--foreground', 'stay, and stop everything on Ctrl-C')
    .action(async (options: { foreground?: boolean }) => {
      ended(await up(context, options));
    });
  add('down', 'Stop what `up` started', 'down').action(async () => {
    ended(await down(context));
  });
  add('restart', 'Stop and start again what `up` started, with what was built since', 'restart').action(
    async () => {
      ended(await restart(context));
    },
  );
  add('status', 'Show what is running', 'status').action(async () => {
    ended(await status(context));
  });
  add('doctor', 'Check that this machine has what Sluice needs', 'doctor').action(async () => {
    ended(await doctor(context));
  });
  add('logs', 'Show the logs of one service, or of all', 'logs loader -f')
    .argument('[service]', 'ingestor, validator, loader, tracker, kafka or postgres')
    .option('-f, --follow', 'continue until Ctrl-C')
    .action(async (service: string | undefined, options: { follow?: boolean }) => {
      ended(await logs(context, service, options));
    });
  add('env', 'Print DATABASE_URL and KAFKA_BROKERS of the running system, for a shell', 'env > sluice.env')
    .option('--settings', 'list every setting of every service instead')
    .action(async (options: { settings?: boolean }) => {
      ended(options.settings === true ? await settings(context) : await env(context));
    });
  add('migrate', 'Bring tables and topics up to date', 'migrate')
    .option(
      '--adopt <dataset>',
      'its tables exist already, e.g. after a restore: record its migrations as run',
    )
    .action(async (options: { adopt?: string }) => {
      const { migrate } = await import('./migrate.js'); // TypeORM and kafkajs: no other command waits for them
      ended(await migrate(context, options));
    });
  add(
    'rebuild',
    'Build what the tracker shows, and job history, repair actions and decisions, again from ledger and topics',
    'rebuild',
  )
    .option('--json', 'print JSON instead of text')
    .action(async (options: { json?: boolean }) => {
      ended(await rebuild(context, options));
    });
  add(
    'demo',
    'Load a generated file from start to finish, stream, repair, then stop everything',
    'demo --rows 50000 --keep',
  )
    .option('--keep', 'leave the system running')
    .option('--rows <N>', 'records in the file', parseCount, 300_000)
    .option('--dataset <name>', 'which dataset to generate; the first one that has a generator by default')
    .action(async (options: { keep?: boolean; rows: number; dataset?: string }) => {
      ended(await demo(context, options));
    });
}

const ID_HELP =
  'its id, four or more characters of its beginning or end, or `last`; the only job that fits when left out';
const DATASET_HELP = 'look for the job among those of this dataset';
const JSON_HELP = 'print JSON instead of text';

function addJobCommands(add: Add, context: CliContext, ended: Ended): void {
  add('datasets', 'List the datasets with their modes, options and rows', 'datasets')
    .option('--json', JSON_HELP)
    .action(async (options: { json?: boolean }) => {
      ended(await datasets(context, options));
    });
  add(
    'run',
    'Load a dataset from a source, and follow the job to its end',
    'run customers --source customers.csv',
  )
    .argument('<dataset>', 'one that `datasets` lists')
    .option('--source <url|file>', 'where the records are; a dataset may have a default')
    .option('--mode <mode>', 'replace, append or upsert; a dataset has a default', parseMode)
    .option('--limit <N>', 'load only the first N records', parseCount)
    .option('--dry-run', 'run everything, then discard the result')
    .option('--strict', 'fail the job when a single record is refused')
    .option('--max-refused <share>', 'fail the job when more records are refused, e.g. 1%', parseShare)
    .option('--allow-shrink', 'allow `replace` to load far fewer rows than the table has')
    .addOption(
      new Option(
        '--existing <what>',
        '`append`, for existing keys: skip the record (supersede) or fail the job',
      ).choices(EXISTING_KEYS),
    )
    .option(
      '--breaker-share <share>',
      'pause the job when more of the latest records are refused, e.g. 20%',
      parseShare,
    )
    .option('--breaker-count <N>', 'or when more than N of them are refused', parseCount)
    .option('--option <name=value>', 'an option of the dataset; may be repeated', collectOption)
    .option('--json', 'print one object at the end, and nothing else')
    .option('--yes', 'replace rows without asking')
    .action(async (name: string, options: object) => {
      ended(await run(context, name, options));
    });
  add('jobs', 'List the newest jobs', 'jobs --dataset customers --state failed')
    .option('--dataset <name>', 'only of this dataset')
    .addOption(new Option('--state <state>', 'only in this state').choices(JOB_STATES))
    .option('--last <N>', 'show at most N', parseCount, 20)
    .option('--stream <dataset>', 'only jobs of the stream of this dataset')
    .option('--all', 'jobs of streams too, where a stream else is one line')
    .option('--json', JSON_HELP)
    .action(async (options: { last: number }) => {
      ended(await jobs(context, options));
    });
  add('job', 'Show one job', `job ${EXAMPLE_ID}`)
    .argument('[id]', ID_HELP)
    .option('--dataset <name>', DATASET_HELP)
    .option('--json', JSON_HELP)
    .action(async (id: string | undefined, options: object) => {
      ended(await job(context, id, options));
    });
  add('watch', 'Follow a job to its end', `watch ${EXAMPLE_ID}`)
    .argument('[id]', ID_HELP)
    .option('--dataset <name>', DATASET_HELP)
    .option('--json', 'print one object at the end, and nothing else')
    .action(async (id: string | undefined, options: object) => {
      ended(await watch(context, id, options));
    });
}

function addSteeringCommands(add: Add, context: CliContext, ended: Ended): void {
  add('pause', 'Stop a running job until it is continued', `pause ${EXAMPLE_ID}`)
    .argument('[id]', ID_HELP)
    .option('--dataset <name>', DATASET_HELP)
    .option('--json', JSON_HELP)
    .action(async (id: string | undefined, options: object) => {
      ended(await pause(context, id, options));
    });
  add('continue', 'Continue a paused job, and follow it', `continue ${EXAMPLE_ID}`)
    .argument('[id]', ID_HELP)
    .option('--dataset <name>', DATASET_HELP)
    .option('--detach', 'do not follow it')
    .option('--json', 'print one object at the end, and nothing else')
    .action(async (id: string | undefined, options: object) => {
      ended(await continueJob(context, id, options));
    });
  add('resume', 'Resume a failed, interrupted or stuck job, and follow it', 'resume')
    .argument('[id]', ID_HELP)
    .option('--dataset <name>', DATASET_HELP)
    .option('--max-refused <share>', 'raise the limit that made it fail, e.g. 10%', parseShare)
    .option('--allow-shrink', 'allow `replace` to load far fewer rows than the table has')
    .option('--detach', 'do not follow it')
    .option('--json', 'print one object at the end, and nothing else')
    .action(async (id: string | undefined, options: object) => {
      ended(await resume(context, id, options));
    });
  add('discard', 'Give up what a failed job had loaded', `discard ${EXAMPLE_ID}`)
    .argument('<id>', 'its id, four or more characters of its beginning or end, or `last`')
    .option('--dataset <name>', DATASET_HELP)
    .option('--json', JSON_HELP)
    .option('--yes', 'without asking')
    .action(async (id: string, options: object) => {
      ended(await discard(context, id, options));
    });
  add('cancel', 'End a job; the tables stay as they are', `cancel ${EXAMPLE_ID}`)
    .argument('[id]', ID_HELP)
    .option('--dataset <name>', DATASET_HELP)
    .option('--json', JSON_HELP)
    .action(async (id: string | undefined, options: object) => {
      ended(await cancel(context, id, options));
    });
}

const EXAMPLE_ID = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';

function addRecordCommands(add: Add, context: CliContext, ended: Ended): void {
  add(
    'check',
    'Check a file, or messages for an inbox, without Kafka and PostgreSQL',
    'check customers customers.csv',
  )
    .argument('<dataset>', 'the dataset whose contract applies')
    .addArgument(new Argument('<file>', 'plain text; unpack a zip or gzip first; - reads standard input'))
    .option('--messages', 'each line is a message for the inbox, by the rules of streams: CSV has no header')
    .option(
      '--header <name=value>',
      'with --messages: a header that every message has; may be repeated',
      collectOption,
    )
    .option('--mode <mode>', 'treat repeated keys as this mode does; a dataset has a default', parseMode)
    .option('--option <name=value>', 'an option of the dataset; may be repeated', collectOption)
    .option('--limit-findings <N>', 'show at most N; all are counted', parseCount)
    .option('--json', JSON_HELP)
    .action(async (name: string, file: string, options: object) => {
      await warnOfLocalSystem(context);
      ended(await check(context, name, file, options));
    });
  addDeadLetterCommand(add, context, ended);
  add(
    'parked',
    'List Kafka messages that could not be read; show, retry or skip one',
    'parked show sluice.customers.raw/2/11',
  )
    .addArgument(
      new Argument('[action]', 'show it, retry it (publish it again), or skip it').choices(PARKED_ACTIONS),
    )
    .addArgument(new Argument('[place]', 'which one: topic/partition/offset'))
    .option('--last <N>', 'show at most N', parseCount, 20)
    .option('--out <file>', 'with show: write the bytes of its value to this file')
    .option('--reason <text>', 'with skip: why no data is lost')
    .option('--json', JSON_HELP)
    .action(
      async (action: ParkedAction | undefined, place: string | undefined, options: { last: number }) => {
        ended(await parked(context, action, place, options));
      },
    );
}

function exitCodeLines(): string {
  return Object.values(EXIT_CODES)
    .map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}\n`)
    .join('');
}
