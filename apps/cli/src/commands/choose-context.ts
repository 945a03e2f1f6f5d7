/** `--context` of every command, and the commands that a context cannot serve. */
import type { Command } from 'commander';
import { SluiceError } from '#common/errors/sluice-error.js';
import { PROGRAM } from '../render/program-name.js';
import type { CliContext } from './context.js';
import { chosenContext } from './find-system.js';

const OF_THE_MACHINE = ['up', 'down', 'restart', 'status', 'doctor', 'logs', 'env', 'demo'];
const OF_THE_SERVERS = ['migrate', 'token', 'rebuild', 'produce'];
/** Of `dataset`: the others work on its folder. */
const OF_THE_TABLES = ['migration', 'recreate'];
const OPTION = '--context <name>';

export interface ChoosingContext {
  readonly context: CliContext;
  /** Call it once the program has all its commands. */
  readonly addOption: (program: Command) => void;
}

/** A context of the command line whose settings name the context that the command line has chosen. */
export function choosingContext(outer: CliContext): ChoosingContext {
  let named: string | undefined;
  const context: CliContext = {
    ...outer,
    settings: () => {
      const settings = outer.settings();
      if (named !== undefined) settings.context = named;
      return settings;
    },
  };
  const addOption = (program: Command): void => {
    for (const command of [program, ...program.commands])
      command.option(OPTION, 'talk to this one of `contexts`');
    program.hook('preAction', async (_program, command) => {
      named = command.optsWithGlobals<{ context?: string }>().context;
      const works = needsThisMachine(command);
      if (works === null) return;
      const chosen = await chosenContext(context.settings());
      if (chosen === null) return;
      throw new SluiceError(
        'USAGE_INVALID',
        `\`${PROGRAM} ${command.name()}\` works on ${works}, and not through the context ${chosen.name}: add --context local.`,
      );
    });
  };
  return { context, addOption };
}

/** @returns what it works on; null for a command that a context can serve */
function needsThisMachine(command: Command): string | null {
  const name = command.name();
  if (name === 'env' && command.opts<{ settings?: boolean }>().settings === true) return null;
  if (OF_THE_MACHINE.includes(name)) return 'this machine';
  if (OF_THE_SERVERS.includes(name)) return 'database and brokers themselves';
  return name === 'dataset' && OF_THE_TABLES.includes(command.args[0] ?? '') ? 'the database itself' : null;
}
