import type { ReplayOffsets, ReplayRequest } from '#api/replays.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import type { Dataset } from '#core/dataset/dataset.js';
import type { OffsetRange } from '#core/raw-log/raw-log-reader.js';
import type { TopicEnds } from '#core/replay/select-origins.js';

/** What must hold of a request for a replay, besides the shapes of its members. PURE. */

interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** @returns its dataset. @throws ProblemError 422 listing every wrong field */
export function assertRequest(request: ReplayRequest, datasets: readonly Dataset[]): Dataset {
  const { job, from, to, offsets, mode, only = 'all' } = request;
  const errors: FieldError[] = [];
  const dataset = datasets.find(({ name }) => name === request.dataset);
  if (dataset === undefined) {
    const known = datasets.map(({ name }) => name).join(', ');
    throw wrong([{ field: 'dataset', message: `unknown; registered are ${known}` }]);
  }
  const given = [job, from ?? to, offsets].filter((one) => one !== undefined).length;
  if (given !== 1) errors.push({ field: 'job', message: 'give either a job, or from and to, or offsets' });
  if (to !== undefined && from === undefined)
    errors.push({ field: 'from', message: 'is missing: a span needs a beginning' });
  if (from !== undefined && Date.parse(from) >= (to === undefined ? Date.now() : Date.parse(to)))
    errors.push({ field: 'to', message: 'must be later than from, and from in the past' });
  for (const message of problemsOf(offsets ?? [])) errors.push({ field: 'offsets', message });
  if (mode !== undefined && !dataset.writeModes.includes(mode))
    errors.push({ field: 'mode', message: `${dataset.name} allows ${dataset.writeModes.join(', ')}` });
  if (mode === 'replace' && only !== 'all')
    errors.push({
      field: 'mode',
      message: 'replace would put a part of the records in the place of the table',
    });
  if (errors.length > 0) throw wrong(errors);
  return dataset;
}

/** @throws ProblemError 422 for what the topic has never had */
export function assertOffsets(offsets: readonly ReplayOffsets[], ends: TopicEnds): OffsetRange[] {
  const errors = offsets.flatMap(({ partition, to }): FieldError[] => {
    const high = ends.get(partition)?.high;
    if (high === undefined)
      return [{ field: 'offsets', message: `the raw topic has no partition ${partition}` }];
    if (BigInt(to) <= high) return [];
    return [{ field: 'offsets', message: `partition ${partition} ends at ${high}, before ${to}` }];
  });
  if (errors.length > 0) throw wrong(errors);
  return [...offsets].sort((a, b) => a.partition - b.partition);
}

function problemsOf(offsets: readonly ReplayOffsets[]): string[] {
  const seen = new Set<number>();
  return offsets.flatMap(({ partition, from, to }) => {
    const isTwice = seen.has(partition);
    seen.add(partition);
    if (isTwice) return [`partition ${partition} is given more than once`];
    return from < to ? [] : [`partition ${partition}: ${to} is not behind ${from}`];
  });
}

function wrong(errors: readonly FieldError[]): ProblemError {
  const detail = errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
  return new ProblemError('REQUEST_INVALID', detail, 422, { errors });
}
