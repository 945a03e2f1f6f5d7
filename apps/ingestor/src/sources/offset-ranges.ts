/** Ranges of offsets, as addresses of topics write them: `<partition>=<from>-<to>`, joined by `&`. PURE. */
import type { OffsetRange } from '#common/kafka/transport/read-ranges.js';

const MAX_PARTITIONS = 10_000;
/** 15 digits, so that a number holds every one exactly. */
const RANGE = /^(\d{1,15})-(\d{1,15})$/;

/**
 * @param parts of the query, each one range
 * @param refuse throws the address's error for a problem
 * @returns ascending by partition, each once
 */
export function parseRanges(parts: readonly string[], refuse: (problem: string) => never): OffsetRange[] {
  const ranges = parts.map((part) => rangeOf(part, refuse)).sort((a, b) => a.partition - b.partition);
  const twice = ranges.find(({ partition }, at) => ranges[at + 1]?.partition === partition);
  if (twice !== undefined) refuse(`partition ${twice.partition} is given more than once`);
  return ranges;
}

export function writeRanges(ranges: readonly OffsetRange[]): string {
  return ranges.map(({ partition, from, to }) => `${partition}=${from}-${to}`).join('&');
}

function rangeOf(part: string, refuse: (problem: string) => never): OffsetRange {
  const [name = '', range = '', ...more] = part.split('=');
  const partition = /^\d{1,5}$/.test(name) ? Number(name) : MAX_PARTITIONS;
  const [, first, last] = RANGE.exec(range) ?? [];
  if (partition >= MAX_PARTITIONS || first === undefined || last === undefined || more.length > 0)
    return refuse('a range is not written as <partition>=<from>-<to>, with whole numbers');
  const [from, to] = [Number(first), Number(last)];
  if (to < from)
    return refuse(`partition ${partition} is to be read from ${from} to ${to}, which is before it`);
  return { partition, from, to };
}
