import fc from 'fast-check';
import type { RawHeaders, ReadMessage } from '../../../libs/common/src/kafka/message.js';
import type { CutPosition } from '../../../libs/core/src/record/cutter.js';
import {
  type MessageCuttingOptions,
  createMessageCutter,
} from '../../../libs/core/src/record/message-cutter.js';
import type { RawBatch } from '../../../libs/core/src/record/raw-batch.js';
import { START } from './cutting.js';

export const INBOX = 'sluice.things.inbox';

/** A message of the inbox's partition 0. */
export function messageOf(
  offset: number,
  value: Buffer | string | null,
  facts: Partial<Omit<ReadMessage, 'value'>> = {},
): ReadMessage {
  return {
    place: { topic: INBOX, partition: 0, offset: String(offset) },
    key: null,
    headers: {},
    timestamp: 1_700_000_000_000 + offset,
    value: value === null ? null : Buffer.from(value),
    ...facts,
  };
}

/** Cuts messages that come in the given portions. */
export function cutMessages(
  portions: readonly (readonly ReadMessage[])[],
  options: MessageCuttingOptions,
  from: CutPosition = START,
): RawBatch[] {
  const cutter = createMessageCutter(options, from);
  const batches = portions.flatMap((portion) => {
    // The cutter must not keep what it is given.
    const reused = portion.map((message) => ({
      ...message,
      value: message.value === null ? null : Buffer.from(message.value),
    }));
    const whole = cutter.push(reused);
    for (const { value } of reused) value?.fill(0xff);
    return whole;
  });
  return [...batches, ...cutter.end()];
}

/** Headers that producers send, and some that no producer should: several values of one name, none, and no text. */
export const anyHeaders: fc.Arbitrary<RawHeaders> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<RawHeaders>({}) },
  {
    weight: 2,
    arbitrary: fc.constant<RawHeaders>({ 'content-type': Buffer.from('text/csv; charset=UTF-8') }),
  },
  {
    weight: 4,
    arbitrary: fc.dictionary(
      fc.constantFrom('trace', 'content-type', 'columns', 'context', '__proto__', '東'),
      fc.oneof(
        fc.constantFrom(
          ...[
            'text/csv',
            'application/json',
            'a,b',
            '["b","a"]',
            'b,b',
            '[1]',
            '{"day":"1"}',
            '{"day":1}',
            '{',
          ].map((text) => Buffer.from(text)),
        ),
        fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
        fc.array(
          fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
          { minLength: 1, maxLength: 3 },
        ),
        fc.constant(undefined),
      ),
      { maxKeys: 4 },
    ),
  },
);

/** Messages with places that ascend by partition and offset, with gaps. */
export function anyMessages(value: fc.Arbitrary<Buffer | null>): fc.Arbitrary<ReadMessage[]> {
  const message = fc.record({
    value,
    headers: anyHeaders,
    key: fc.option(fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes))),
    timestamp: fc.oneof(
      fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
      fc.constantFrom(-1, 0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
    ),
    gap: fc.oneof(fc.constant(0), fc.constant(0), fc.nat(300), fc.constant(2 ** 40)),
    isNext: fc.boolean(),
    reason: fc.option(fc.constant('its checksum is wrong'), { freq: 12 }),
  });
  return fc.array(message, { maxLength: 30 }).map((drafts) => {
    let partition = 0;
    let offset = 0;
    return drafts.map(({ gap, isNext, reason, ...facts }) => {
      if (isNext && gap === 0 && offset > 2) {
        partition += 1;
        offset = 0;
      }
      offset += gap;
      const place = { topic: INBOX, partition, offset: String(offset) };
      offset += 1;
      if (reason === null) return { ...facts, place };
      return { ...facts, place, value: null, undecodable: { firstOffset: place.offset, reason } };
    });
  });
}
