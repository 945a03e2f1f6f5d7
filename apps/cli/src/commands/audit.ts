import type { AuditEntry } from '#api/audit.js';
import { plainText } from '#common/text/plain-text.js';
import type { Exit } from '../exit-codes.js';
import { formatTime } from '../render/format.js';
import { type TableColumn, renderTable } from '../render/table.js';
import { type CliContext, connect, widthOf, write } from './context.js';

export interface AuditOptions {
  readonly last: number;
  readonly who?: string;
  readonly action?: string;
  readonly dataset?: string;
  readonly json?: boolean;
}

/** `sluice audit`: who gave which command, newest first. */
export async function audit(context: CliContext, options: AuditOptions): Promise<Exit> {
  const { last, who, action, dataset, json } = options;
  const client = await connect(context);
  const found: AuditEntry[] = [];
  for await (const entry of client.audit({ who, action, dataset })) {
    if (found.push(entry) === last) break;
  }
  const text =
    found.length === 0 ? 'No commands are recorded.\n' : renderTable(found, COLUMNS, widthOf(context.stdout));
  await write(context.stdout, json === true ? `${JSON.stringify(found)}\n` : text);
  return 'success';
}

const COLUMNS: readonly TableColumn<AuditEntry>[] = [
  { title: 'at (UTC)', value: ({ at }) => formatTime(at) },
  { title: 'action', value: ({ action }) => plainText(action) },
  { title: 'outcome', value: ({ outcome }) => (outcome === null ? 'not known' : plainText(outcome)) },
  { title: 'dataset', value: ({ dataset }) => plainText(dataset ?? '–'), leaveOut: 1 },
  { title: 'by', value: ({ caller }) => plainText(caller) },
  { title: 'role', value: ({ role }) => plainText(role ?? '–'), leaveOut: 2 },
  { title: 'who', value: ({ who }) => plainText(who), shortenTo: 12 },
  { title: 'targets', value: ({ targets }) => plainText(targets.join(' ')), shortenTo: 12, leaveOut: 3 },
];
