import { Argument, type Command, Option } from 'commander';
import type { FieldReplace, FieldSet } from '#api/dead-letter-edits.js';
import { DEAD_LETTER_STATES } from '#api/dead-letters.js';
import type { Exit } from '../../exit-codes.js';
import type { CliContext } from '../context.js';
import { parseCount } from '../option-values.js';
import type { ActionOptions } from './action-options.js';
import { DEAD_LETTER_ACTIONS, type DeadLetterAction, runAction } from './actions.js';
import { parseReplace, parseSet } from './fix.js';
import { deadLetters } from './list.js';

const collectSet = (given: string, before: readonly FieldSet[] = []) => [...before, parseSet(given)];
const collectReplace = (given: string, before: readonly FieldReplace[] = []) => [
  ...before,
  parseReplace(given),
];

type Add = (usage: string, description: string, example: string) => Command;

export function addDeadLetterCommand(add: Add, context: CliContext, ended: (exit: Exit) => void): void {
  add(
    'dead-letters',
    'Show refused records, correct them, send them again, or give them up',
    'dead-letters --job 01998f3e-7c4a-7000-8000-3f5b8e2d9a10 --export refused.csv',
  )
    .addArgument(
      new Argument(
        '[action]',
        'groups by reason and look of the value; show one record; edit one in your editor; fix fields of many; ' +
          'export them, and import the file again; check what would become of them; resubmit them; discard them',
      ).choices(DEAD_LETTER_ACTIONS),
    )
    .addArgument(
      new Argument('[ids...]', 'which ones, each <job>:<record>; with export and import: the file'),
    )
    .option('--job <id>', 'only of this job: its id, a part of it, or `last`')
    .option('--code <code>', 'only with this code')
    .option('--dataset <name>', 'only of this dataset')
    .option('--group <id>', 'only of this group: its id, or four or more characters of its beginning or end')
    .addOption(
      new Option('--state <state>', 'only in this state; with groups: open by default').choices(
        DEAD_LETTER_STATES,
      ),
    )
    .option('--limit <N>', 'show at most N (20 by default), or export at most N (all by default)', parseCount)
    .option('--export <file.csv>', 'write a CSV that opens in a spreadsheet')
    .option('--set <field=value>', 'with fix: write this value into the field; may be repeated', collectSet)
    .option(
      '--replace <field=/pattern/replacement/>',
      'with fix: replace what matches, with the flags g, i, m and s behind it; may be repeated',
      collectReplace,
    )
    .option('--reason <text>', 'why: with discard, why no data is lost; with resubmit, why it will help')
    .option('--dry-run', 'show what it would be, and change nothing')
    .option('--yes', 'without asking')
    .option('--force', 'with resubmit: also records that were submitted three times')
    .option('--wait', 'with resubmit: wait for the end of the repair job and report it')
    .option('--json', 'print one object a line; with an action: one object')
    .action(async (action: DeadLetterAction | undefined, ids: string[], options: ActionOptions) => {
      ended(
        action === undefined
          ? await deadLetters(context, options)
          : await runAction(context, action, ids, options),
      );
    });
}
