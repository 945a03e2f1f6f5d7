import { isDeepStrictEqual } from 'node:util';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Job, PinnedHead } from '#core/job/job.entity.js';
import type { OwnPart } from '#core/source/own-part.js';
import type { SourceIdentity } from '#core/source/source-identity.js';

/** What a job knows of its source since it began. */
type Pinned = Pick<Job, 'id' | 'source' | 'sourceIdentity' | 'head'>;

/**
 * Compares what transport and file system say of the source with what they said when the job began. What was not
 * known then, or is not known now, is not compared: the chain of hashes is the proof.
 * @throws SluiceError SOURCE_CHANGED with every difference
 */
export function assertSameIdentity(job: Pinned, found: SourceIdentity): void {
  const { sourceIdentity: pinned } = job;
  if (pinned === null) return;
  const differences = [
    difference('size in bytes', pinned.bytes, found.bytes),
    difference('ETag', pinned.etag, found.etag),
    difference('Last-Modified', pinned.lastModified, found.lastModified),
    ...ownDifferences(pinned.own, found.own),
  ].filter((text) => text !== null);
  if (differences.length > 0) throw changedSource(job, differences.join('; '));
}

/** @throws SluiceError SOURCE_CHANGED with every difference */
export function assertSameHead(job: Pinned, found: PinnedHead): void {
  const { head: pinned } = job;
  if (pinned === null || isSameHead(pinned, found)) return;
  const names = [...new Set([...Object.keys(pinned.context), ...Object.keys(found.context)])];
  const differences = [
    ...names.map((name) =>
      difference(name, pinned.context[name] ?? 'nothing', found.context[name] ?? 'nothing'),
    ),
    isDeepStrictEqual(pinned.columns, found.columns) ? null : 'its columns differ',
  ].filter((text) => text !== null);
  if (differences.length === 0) differences.push('its records begin at another place');
  throw changedSource(job, differences.join('; '));
}

/** By what a job began with in every version of Sluice. */
function isSameHead(one: PinnedHead, other: PinnedHead): boolean {
  const partsOf = ({ columns, context, dataStart, firstLine }: PinnedHead): unknown => [
    columns,
    context,
    dataStart,
    firstLine,
  ];
  return isDeepStrictEqual(partsOf(one), partsOf(other));
}

/** The error of a source that is not the one that the job began with. @param how one or more clauses */
export function changedSource({ id, source }: Pinned, how: string): SluiceError {
  return new SluiceError('SOURCE_CHANGED', `${source.display} is not what this job began with: ${how}.`, {
    job: id,
    file: source.display,
  });
}

/** By the names of its members alone: what they hold, only the kind knows. */
function ownDifferences(before: OwnPart = {}, now: OwnPart = {}): string[] {
  return Object.keys(before)
    .filter((name) => name in now && !isDeepStrictEqual(before[name], now[name]))
    .map((name) => `its ${name} is another one`);
}

function difference<T extends string | number>(
  what: string,
  before: T | null | undefined,
  now: T | null | undefined,
): string | null {
  const isKnown = before !== null && before !== undefined && now !== null && now !== undefined;
  return isKnown && before !== now ? `its ${what} went from ${before} to ${now}` : null;
}
