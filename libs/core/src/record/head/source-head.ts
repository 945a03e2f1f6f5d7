/**
 * A source's head: what its dataset's prologue says of it, and whether every byte of it is accounted for. PURE.
 * The one way from first bytes to a verdict on the file, for the ingestor and for `sluice check`.
 *
 * Invariants
 * - SH1: the answer depends on the first MAX_HEAD_BYTES of the source alone, never on how they came in pieces.
 * - SH2 (G1): the head is a whole number of lines, as many as the prologue says, and each ends with the source's kind of
 *   line end. So no record can hide in it: a head that takes a record for a part of a header line is refused, by line.
 * - SH3: a wrong head is reported in one sentence if possible, in ten findings and 2 KB at most.
 * - SH4: what a prologue throws is a fault of its dataset, and reported without what the source holds.
 * - SH5: what the prologue reads for the rows (its context) has MAX_CONTEXT_BYTES as JSON at most, or the file is refused.
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import { planContract } from '../compile/contract-plan.js';
import { fieldsRead } from '../compile/fields-read.js';
import { datasetCodeFailed } from '../dataset-code.js';
import type { Finding } from '../../finding/finding.js';
import {
  CARRIAGE_RETURN,
  LINE_FEED,
  type LineEnd,
  lineEndOf,
  MAX_RETURNS,
  strayByteOf,
} from '../line-ends.js';
import {
  type Dataset,
  type HeadFinding,
  MAX_CONTEXT_BYTES,
  MAX_HEAD_BYTES,
  type Prologue,
} from '../../dataset/dataset.js';
import { dialectOf } from '../../dataset/csv-dialect.js';
import { bomLength, fileError } from '../../dataset/file-head.js';
import { findWrongJson } from './json-head.js';

export interface SourceHead {
  readonly prologue: Prologue;
  readonly lineEnd: LineEnd;
  /** Bytes and lines before the first record, counted from byte 0 by the lines that were found, not by the prologue. */
  readonly bytes: number;
  readonly lines: number;
}

export const MAX_HEAD_FINDINGS = 10;
export const MAX_HEAD_TEXT_BYTES = 2 * 1024;

/**
 * @param head the first MAX_HEAD_BYTES of the uncompressed source, or all of it
 * @param isWhole the source ends with them
 * @throws SluiceError DATASET_CODE_FAILED, DATASET_INVALID when the prologue does not decide
 */
export function readSourceHead(dataset: Dataset, head: Buffer, isWhole: boolean): SourceHead {
  const first = head.subarray(0, MAX_HEAD_BYTES);
  const lineEnd = lineEndOf(first, dialectOf(dataset));
  const prologue = askPrologue(dataset, first, lineEnd);
  const refused = prologue.findings.some(({ severity }) => severity === 'error');
  // A line end of the other kind is why: what a prologue makes of such a line are its consequences. Where there are
  // NULs the bytes are no lines: UTF-16 has one between its CR and its LF.
  const mixed =
    refused && !first.includes(0) ? findMixedLine(first, 0, lineEnd, firstLineEnd(first, lineEnd)) : null;
  const counted = countHead(first, prologue.dataStart, lineEnd);
  const found =
    mixed === null
      ? [
          ...prologue.findings,
          ...(refused
            ? []
            : [
                ...findUnaccounted(dataset, first, isWhole, prologue, lineEnd),
                ...findLargeContext(dataset, prologue),
              ]),
        ]
      : [mixed];
  return { prologue: { ...prologue, findings: boundFindings(found) }, lineEnd, ...counted };
}

/** All errors of a head as one text, each on a line of its own; null when there is none. */
export function refusalOf({ findings }: Pick<Prologue, 'findings'>): string | null {
  const errors = findings.filter(({ severity }) => severity === 'error');
  return errors.length === 0 ? null : errors.map(({ code, message }) => `${code}: ${message}`).join('\n');
}

/** SH3: errors first; the last message says how many more there are. */
export function boundFindings(findings: readonly HeadFinding[]): readonly HeadFinding[] {
  const all = findings.toSorted((a, b) => Number(a.severity !== 'error') - Number(b.severity !== 'error'));
  const shown: HeadFinding[] = [];
  let room = MAX_HEAD_TEXT_BYTES - MORE_BYTES;
  for (const finding of all) {
    const bytes = Buffer.byteLength(`${finding.code}: ${finding.message}\n`);
    if (shown.length === MAX_HEAD_FINDINGS || (bytes > room && shown.length > 0)) break;
    shown.push(bytes > room ? { ...finding, message: shorten(finding.message, room) } : finding);
    room -= bytes;
  }
  const last = shown.at(-1);
  const more = all.length - shown.length;
  if (last !== undefined && more > 0)
    shown[shown.length - 1] = { ...last, message: `${last.message} … and ${more} more.` };
  return shown;
}

const MORE_BYTES = 64;

function shorten(text: string, bytes: number): string {
  // A character takes 4 bytes at most.
  return `${Array.from(text)
    .slice(0, bytes / 4)
    .join('')}…`;
}

/** The head is given with LFs at line ends of every kind, so that no prologue has to know of CR alone. */
function askPrologue(dataset: Dataset, head: Buffer, lineEnd: LineEnd): Prologue {
  const given =
    lineEnd === 'lf' ? head : Buffer.from(head.map((byte) => (byte === CARRIAGE_RETURN ? LINE_FEED : byte)));
  let prologue: Prologue | undefined;
  try {
    prologue = dataset.prologue(given, true);
  } catch (error) {
    throw datasetCodeFailed(error, { dataset: dataset.name, what: 'its prologue', line: 1 });
  }
  if (prologue === undefined)
    throw new SluiceError('DATASET_INVALID', `The prologue of ${dataset.name} did not decide.`, {
      dataset: dataset.name,
    });
  return prologue;
}

/** Lines of [0, dataStart), by line ends of every kind; what follows the last one counts as a line. */
function countHead(head: Buffer, dataStart: number, lineEnd: LineEnd): { bytes: number; lines: number } {
  let at = Math.min(bomLength(head), dataStart);
  let lines = 0;
  while (at < Math.min(dataStart, head.length)) {
    at = anyLineEnd(head, at, lineEnd);
    lines += 1;
  }
  return { bytes: at, lines };
}

/** Behind the first line end of any kind from `at` on. */
function anyLineEnd(head: Buffer, at: number, lineEnd: LineEnd): number {
  for (let to = at; to < head.length; to += 1) {
    if (head[to] === LINE_FEED) return to + 1;
    if (head[to] !== CARRIAGE_RETURN) continue;
    if (lineEnd === 'cr') return to + 1;
    let behind = to + 1;
    while (behind < to + MAX_RETURNS && head[behind] === CARRIAGE_RETURN) behind += 1;
    return head[behind] === LINE_FEED ? behind + 1 : to + 1;
  }
  return head.length;
}

function firstLineEnd(head: Buffer, lineEnd: LineEnd): number {
  const at = head.indexOf(lineEnd === 'cr' ? CARRIAGE_RETURN : LINE_FEED);
  return at === -1 ? head.length : at + 1;
}

function findUnaccounted(
  dataset: Dataset,
  head: Buffer,
  isWhole: boolean,
  prologue: Prologue,
  lineEnd: LineEnd,
): readonly HeadFinding[] {
  const { dataStart, firstLine } = prologue;
  if (head.length === 0)
    return [fileError('FILE_EMPTY', 'The file is empty: check that the download was finished.')];
  const mixed = findMixedLine(head, 0, lineEnd, dataStart);
  if (mixed !== null) return [mixed];
  const { bytes, lines } = countHead(head, dataStart, lineEnd);
  const endsInLine =
    dataStart < bytes || (dataStart === head.length && !isWhole && !endsWithLineEnd(head, lineEnd));
  if (dataStart > head.length || endsInLine || lines !== firstLine - 1) {
    const line = Math.max(1, lines);
    const message =
      `The prologue of ${dataset.name} takes ${dataStart} bytes for ${firstLine - 1} lines before the first record, ` +
      `and these bytes hold ${lines}${endsInLine ? ', the last one in part' : ''}: line ${line} would be lost in part.`;
    return [{ ...fileError('HEAD_UNACCOUNTED', message), line }];
  }
  if (dataset.format === 'ndjson') {
    const wrong = findWrongJson(head.subarray(dataStart), isWhole, planContract(dataset));
    return wrong === null ? [] : [wrong];
  }
  return lines > 0 ? findMissingColumns(dataset, prologue.columns) : [];
}

function endsWithLineEnd(head: Buffer, lineEnd: LineEnd): boolean {
  return head.at(-1) === (lineEnd === 'cr' ? CARRIAGE_RETURN : LINE_FEED);
}

/** SH2: a line end of the other kind in [from, to) that is none of the source's. */
function findMixedLine(head: Buffer, from: number, lineEnd: LineEnd, to: number): HeadFinding | null {
  const stray = strayByteOf(lineEnd);
  let line = 1;
  for (let at = from; at < Math.min(to, head.length); line += 1) {
    const next = anyLineEnd(head, at, lineEnd);
    const isOwn = head[next - 1] === (lineEnd === 'cr' ? CARRIAGE_RETURN : LINE_FEED);
    if (!isOwn && head[next - 1] === stray) return mixedLineEnds(line, lineEnd);
    at = next;
  }
  return null;
}

function mixedLineEnds(line: number, lineEnd: LineEnd): HeadFinding {
  const [own, other] = lineEnd === 'lf' ? ['LF', 'CR'] : ['CR', 'LF'];
  const message = `Line ${line} ends with ${other} alone, and other lines end with ${own}: write the whole file with one kind of line end.`;
  return { ...fileError('LINE_ENDS_MIXED', message), line };
}

/** SH5. The message names the largest value, and does not show it. */
function findLargeContext({ name }: Dataset, { context }: Prologue): readonly HeadFinding[] {
  const bytes = jsonBytes(context);
  if (bytes <= MAX_CONTEXT_BYTES) return [];
  const sizes = Object.entries(context).map(([key, value]) => ({ key, size: jsonBytes(value) }));
  const [largest = { key: '', size: 0 }] = sizes.sort((a, b) => b.size - a.size);
  const message =
    `The prologue of ${name} reads ${bytes} bytes of context from the head, as JSON, and at most ${MAX_CONTEXT_BYTES} are ` +
    `allowed; "${largest.key}" has ${largest.size}: check whether the head of this file is as it should be.`;
  return [fileError('CONTEXT_TOO_LARGE', message, largest.key)];
}

function jsonBytes(value: string | Prologue['context']): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** The header is there and lacks what the contract reads. */
function findMissingColumns(dataset: Dataset, columns: readonly string[]): readonly Finding[] {
  /** Name → whether some column of the contract needs it. */
  const read = new Map<string, boolean>();
  for (const { name, isNeeded } of fieldsRead(planContract(dataset)))
    read.set(name, isNeeded || read.get(name) === true);
  return [...read].flatMap(([name, isNeeded]) => {
    const times = columns.filter((column) => column === name).length;
    if (times === 1 || (times === 0 && !isNeeded)) return [];
    return times === 0
      ? [
          fileError(
            'COLUMN_MISSING',
            `The header has no column "${name}", which ${dataset.name} reads.`,
            name,
          ),
        ]
      : [fileError('COLUMN_REPEATED', `The header has the column "${name}" ${times} times.`, name)];
  });
}
