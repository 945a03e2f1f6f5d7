import { resolve } from 'node:path';
import {
  type DamageWarning,
  type DeadLettersEdited,
  type EditProblem,
  type ImportedRow,
  MAX_EDITS,
} from '#api/dead-letter-edits.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { successJson } from '../../render/envelope.js';
import { counted } from '../../render/format.js';
import { confirm } from '../confirm.js';
import { type CliContext, interruptible, write } from '../context.js';
import type { ActionOptions } from './action-options.js';
import { userName } from '#common/access/user-name.js';
import { editedText } from './edited-text.js';
import { addAnswers, NOTHING_EDITED } from './add-answers.js';
import { importedRows } from './imported-rows.js';

/** A page is this large at most, as JSON; the tracker takes 2 MiB. */
const MAX_PAGE_BYTES = 1024 * 1024;

/**
 * `dead-letters import FILE`: takes an edited export, page by page. All of it is looked at first; where a spreadsheet seems to
 * have damaged values, it asks before it takes them.
 */
export async function importFile(
  context: CliContext,
  client: SluiceClient,
  given: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const [name, another] = given;
  if (name === undefined || another !== undefined)
    throw new SluiceError(
      'USAGE_INVALID',
      '`dead-letters import` needs one file: an export that was edited.',
    );
  const path = resolve(context.cwd, name);
  const { dryRun = false, yes = false, reason, json } = options;
  const facts = { by: userName(), ...(reason === undefined ? {} : { reason }) };
  const answer = await interruptible(context, async (signal) => {
    const dry = await pass(client, path, { ...facts, dryRun: true }, signal);
    if (dryRun) return dry;
    if (!yes && dry.warnings.length > 0) await confirmDamage(context, dry, signal);
    return pass(client, path, { ...facts, dryRun: false }, signal);
  });
  await write(context.stdout, json === true ? successJson(answer) : editedText(answer));
  return 'success';
}

async function confirmDamage(
  context: CliContext,
  dry: DeadLettersEdited,
  signal: AbortSignal,
): Promise<void> {
  context.stderr.write(editedText({ ...dry, problems: [] }));
  const count = dry.warnings.reduce((sum, warning: DamageWarning) => sum + warning.count, 0);
  const what = `${counted(count, 'value')} may be damaged`;
  await confirm(
    context,
    {
      question: `${what}. Take them as they are? `,
      withoutTerminal: `${what}; look with --dry-run, and take them with --yes.`,
    },
    signal,
  );
}

/** One request a page; the ids of the whole file are remembered, some 50 bytes each. */
async function pass(
  client: SluiceClient,
  path: string,
  facts: { readonly by: string; readonly reason?: string; readonly dryRun: boolean },
  signal: AbortSignal,
): Promise<DeadLettersEdited> {
  const seen = new Set<string>();
  const repeated: string[] = [];
  let repeats = 0;
  let page: ImportedRow[] = [];
  let bytes = 0;
  let sum: DeadLettersEdited = { ...NOTHING_EDITED, dryRun: facts.dryRun };
  const send = async (more: boolean): Promise<void> => {
    signal.throwIfAborted();
    const action = sum.action === null ? {} : { action: sum.action };
    const answer = await client.importDeadLetters({ rows: page, ...facts, ...action, more });
    sum = addAnswers(sum, answer);
    page = [];
    bytes = 0;
  };
  for await (const row of importedRows(path)) {
    const id = row.id.toLowerCase();
    if (seen.has(id)) {
      repeats += 1;
      if (repeated.length < 100) repeated.push(id);
      continue;
    }
    seen.add(id);
    const size = Buffer.byteLength(JSON.stringify(row));
    if (page.length === MAX_EDITS || (page.length > 0 && bytes + size > MAX_PAGE_BYTES)) await send(true);
    page.push(row);
    bytes += size;
  }
  await send(false);
  if (repeats === 0) return sum;
  const duplicate: EditProblem = {
    code: 'DUPLICATE',
    field: null,
    message: 'its id stands there before; the first one counts',
    count: repeats,
    ids: repeated,
  };
  return { ...sum, problems: [duplicate, ...sum.problems] };
}
