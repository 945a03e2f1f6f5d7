import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { type CliContext, connect } from '../context.js';
import { requireDataset } from '../known-dataset.js';
import type { ActionOptions } from './action-options.js';
import { check } from './check.js';
import { discard } from './discard.js';
import { edit } from './edit.js';
import { exportFile } from './export.js';
import { fix } from './fix.js';
import { groups } from './groups.js';
import { importFile } from './import.js';
import { resubmit } from './resubmit.js';
import { show } from './show.js';

type Action = (
  context: CliContext,
  client: SluiceClient,
  /** What stands behind the action: ids, or a file. */
  given: readonly string[],
  options: ActionOptions,
) => Promise<Exit>;

/** `sluice dead-letters <action>`: each in a file of its own. */
const ACTIONS = {
  groups,
  show,
  edit,
  fix,
  export: exportFile,
  import: importFile,
  check,
  resubmit,
  discard,
} satisfies Readonly<Record<string, Action>>;

export type DeadLetterAction = keyof typeof ACTIONS;
export const DEAD_LETTER_ACTIONS = Object.keys(ACTIONS) as readonly DeadLetterAction[];

export async function runAction(
  context: CliContext,
  action: DeadLetterAction,
  given: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const client = await connect(context);
  if (options.dataset !== undefined) await requireDataset(client, options.dataset);
  return ACTIONS[action](context, client, given, options);
}
