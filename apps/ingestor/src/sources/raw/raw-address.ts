import { SluiceError } from '#common/errors/sluice-error.js';
import type { OffsetRange } from '#common/kafka/transport/read-ranges.js';
import { isDatasetName, isUuid } from '#core/message/header-reader.js';
import { topicOf } from '#core/message/topics.js';
import type { WantedJob } from '#core/raw-log/job-batches.js';
import { parseRanges, writeRanges } from '../offset-ranges.js';
import type { SourceAddress } from '../source-kind.js';

/** The raw batches of one job that stand in ranges of offsets. It holds no credentials. */
export interface RawAddress extends SourceAddress, WantedJob {
  readonly dataset: string;
  /** How many batches of the job the ranges hold. */
  readonly batches: number;
  /** Ascending by partition, each once; perhaps empty. */
  readonly ranges: readonly OffsetRange[];
}

export const RAW_FORM =
  'raw://sluice.<dataset>.raw?job=<id>&epoch=<N>&batches=<N>&sealed=yes&<partition>=<from>-<to>&…';

const FIELDS = ['job', 'epoch', 'batches', 'sealed'] as const;

/**
 * Understands {@link RAW_FORM}.
 * @throws SluiceError SOURCE_UNSUPPORTED; its text shows nothing that is not understood
 */
export function parseRawAddress(text: string): RawAddress {
  const { host, username, password, pathname, hash, search } = new URL(text);
  if (username !== '' || password !== '' || hash !== '' || !/^\/?$/.test(pathname))
    throw unsupported('it has more than a topic, a job and ranges');
  const [, dataset = ''] = /^sluice\.(.+)\.raw$/.exec(host) ?? [];
  if (!isDatasetName(dataset)) throw unsupported('its topic is no raw topic of a dataset');
  const parts = search.slice(1).split('&');
  const given = parts.splice(0, FIELDS.length).map((part) => part.split('='));
  const [job, epoch, batches, sealed] = FIELDS.map((field, at) => {
    const [name, value = '', ...more] = given[at] ?? [];
    if (name !== field || more.length > 0) throw unsupported(`"${field}" is not where it should be`);
    return value;
  });
  if (!isUuid(job)) throw unsupported('its job is no id');
  if (sealed !== 'yes' && sealed !== 'no') throw unsupported('"sealed" is neither yes nor no');
  const facts = {
    ...{ dataset, job, firstEpoch: countOf('epoch', epoch), batches: countOf('batches', batches) },
    isSealed: sealed === 'yes',
    ranges: parseRanges(parts.length === 0 ? [''] : parts, (problem) => {
      throw unsupported(problem);
    }),
  };
  return { ...facts, display: rawAddress(facts) };
}

/** The address of batches, in the one form in which it is shown. */
export function rawAddress(facts: Omit<RawAddress, 'display'>): string {
  const { dataset, job, firstEpoch, batches, isSealed, ranges } = facts;
  const what = `job=${job}&epoch=${firstEpoch}&batches=${batches}&sealed=${isSealed ? 'yes' : 'no'}`;
  return `raw://${topicOf(dataset, 'raw')}?${what}&${writeRanges(ranges)}`;
}

function countOf(field: string, text: string | undefined): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw unsupported(`"${field}" is no whole number`);
  return Number(text);
}

function unsupported(problem: string): SluiceError {
  return new SluiceError('SOURCE_UNSUPPORTED', `The source is no ${RAW_FORM}: ${problem}.`);
}
