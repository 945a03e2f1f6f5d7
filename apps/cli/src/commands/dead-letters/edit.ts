import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isUtf8 } from 'node:buffer';
import type { DeadLetterView } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';
import { reasonText } from '#core/repair/export-rows.js';
import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { successJson } from '../../render/envelope.js';
import { type CliContext, write } from '../context.js';
import type { ActionOptions } from './action-options.js';
import { userName } from '#common/access/user-name.js';
import { ID_FORMS, letterKey } from './choose.js';
import { editedText } from './edited-text.js';

/** Where the record begins; nothing above it is taken. */
const MARK = '# ---- the record begins below this line ----';

/** `dead-letters edit ID`: one refused record in the editor, its reasons above it. A record that stays as it is is no correction. */
export async function edit(
  context: CliContext,
  client: SluiceClient,
  given: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const [id, another] = given;
  if (id === undefined || another !== undefined)
    throw new SluiceError('USAGE_INVALID', `\`dead-letters edit\` needs one id. ${ID_FORMS}`);
  const { job, record } = await letterKey(context, client, id, options.dataset);
  const letter = await client.deadLetter(job, record);
  if (letter.state !== undefined && letter.state !== 'open')
    throw new SluiceError('DEAD_LETTER_DECIDED', `Dead letter ${letter.id} is ${letter.state}.`, { job });
  const before = Buffer.from(letter.edit?.bytesBase64 ?? letter.bytesBase64 ?? '', 'base64');
  if (!isUtf8(before))
    throw new SluiceError(
      'USAGE_INVALID',
      `Record ${letter.id} holds bytes that are not UTF-8, which an editor would change: use \`dead-letters fix --set\`.`,
    );
  const after = await edited(context, pageOf(letter, before));
  const { reason, dryRun = false, json } = options;
  const change = {
    ...{ id: letter.id, recordBase64: after.toString('base64') },
    ...(letter.edit === undefined ? {} : { base: letter.edit?.action ?? null }),
  };
  const answer = await client.editDeadLetters({
    ...{ edits: [change], by: userName(), dryRun },
    ...(reason === undefined ? {} : { reason }),
  });
  const [problem] = answer.problems;
  if (problem !== undefined) {
    const isDecided = problem.code === 'DECIDED' || problem.code === 'UNKNOWN';
    throw new SluiceError(
      isDecided ? 'DEAD_LETTER_DECIDED' : 'EDIT_REFUSED',
      `Record ${letter.id} is not corrected (${problem.code}): ${problem.message}.`,
      { job },
    );
  }
  await write(context.stdout, json === true ? successJson(answer) : editedText(answer));
  return 'success';
}

function pageOf({ id, findings, columns }: DeadLetterView, record: Buffer): string {
  const lines = [
    `${id}: correct the record below, store it, and close the editor. Without a change nothing is done.`,
    ...findings.map((finding) => `${finding.severity}: ${reasonText(finding)}`),
    ...(columns.length === 0 ? [] : [`columns: ${columns.join(', ')}`]),
  ];
  return `${lines.map((line) => `# ${plainText(line)}\n`).join('')}${MARK}\n${record.toString()}\n`;
}

/** Only the user can read the file, and it is gone afterwards. */
async function edited(context: CliContext, page: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-edit-'));
  const path = join(folder, 'record.txt');
  try {
    await chmod(folder, 0o700);
    await writeFile(path, page, { mode: 0o600 });
    await openEditor(context, path);
    const text = await readFile(path);
    if (!isUtf8(text))
      throw new SluiceError('EDIT_REFUSED', 'The editor has stored bytes that are not UTF-8.');
    return recordIn(text.toString());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Without the line end that editors add. */
function recordIn(page: string): Buffer {
  const at = page.replaceAll('\r\n', '\n').indexOf(`${MARK}\n`);
  const isDos = page.includes(`${MARK}\r\n`);
  const start = page.indexOf(MARK);
  if (at === -1 || start === -1)
    throw new SluiceError(
      'EDIT_REFUSED',
      `The line "${MARK}" is gone, so it is not clear where the record begins.`,
    );
  const record = page.slice(start + MARK.length + (isDos ? 2 : 1));
  return Buffer.from(record.replace(/\r?\n$/, ''));
}

async function openEditor(context: CliContext, path: string): Promise<void> {
  const { visual, editor } = context.settings();
  const command = visual === '' ? editor : visual;
  if (command === '')
    throw new SluiceError(
      'USAGE_INVALID',
      'No editor is set: set VISUAL or EDITOR, or use `dead-letters fix`.',
    );
  const child = spawn('/bin/sh', ['-c', `${command} "$1"`, 'sh', path], { stdio: 'inherit' });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0)
    throw new SluiceError(
      'EDIT_REFUSED',
      `The editor ended with ${code ?? 'a signal'}, so nothing is changed.`,
    );
}
