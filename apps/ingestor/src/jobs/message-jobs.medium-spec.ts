import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ReadMessage } from '#common/kafka/message.js';
import { eventually } from '#test/support/eventually.js';
import { Ingesting, type TestIngestor } from '#test/support/ingesting.js';
import { messageOf } from '#test/support/record/messages.js';
import type { MessageSource } from '../sources/message-source.js';

/** Jobs whose source delivers messages: two records a batch, as in job-runner.medium-spec.ts. */

class HeldMessages implements MessageSource {
  readonly identity = { bytes: null, etag: null, lastModified: null, own: {} };
  isClosed = false;

  constructor(
    private readonly all: readonly ReadMessage[],
    private readonly portion = 3,
  ) {}

  get messages(): AsyncIterable<readonly ReadMessage[]> {
    const { all, portion } = this;
    // eslint-disable-next-line @typescript-eslint/require-await -- as sources of messages are
    return (async function* () {
      for (let at = 0; at < all.length; at += portion) yield all.slice(at, at + portion);
    })();
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

const SOURCE = 'topic://sluice.things.inbox?0=0-20';
const things = (from: number, to: number, facts: Parameters<typeof messageOf>[2] = {}): ReadMessage[] =>
  Array.from({ length: to - from }, (_, at) => messageOf(from + at, `${from + at}`, facts));

describe('a job of messages', () => {
  let ingesting: Ingesting;

  beforeAll(async () => {
    ingesting = await Ingesting.start();
  });

  afterAll(() => ingesting.stop());

  async function outcomeOf(id: string): Promise<object> {
    return ingesting.load(id);
  }

  /** Runs a job of 20 messages until batch 4 is under way, and releases it. The checkpoint is behind batch 3. */
  async function interruptedJob(): Promise<string> {
    const id = await ingesting.queue(SOURCE);
    const ingestor = ingesting.ingestor();
    ingestor.broker.heldFrom = 4;
    const source = new HeldMessages(things(0, 20));
    const run = ingestor.run(source);
    await eventually(() => ingestor.broker.sent.includes(4), 'batch 4 to be sent');
    ingestor.drain.abort(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
    ingestor.broker.lose();
    await run;
    expect(source.isClosed).toBe(true);
    expect(await outcomeOf(id)).toMatchObject({ checkpoint: { nextBatch: 4, nextRecord: 8 } });
    return id;
  }

  async function resumed(id: string, messages: readonly ReadMessage[]): Promise<TestIngestor> {
    const ingestor = ingesting.ingestor();
    // However they come.
    await ingestor.run(new HeldMessages(messages, 7));
    expect((await ingesting.load(id)).owner).toBeNull();
    return ingestor;
  }

  it('cuts each into one record, from a source that its caller has opened', async () => {
    const id = await ingesting.queue(SOURCE);
    const ingestor = ingesting.ingestor();
    const source = new HeldMessages(things(0, 5));
    await ingestor.run(source);
    expect([...ingestor.broker.values.values()]).toEqual(['0\n1\n', '2\n3\n', '4\n']);
    expect(await outcomeOf(id)).toMatchObject({
      ...{ state: 'running', error: null, totalBatches: 3, totalRecords: 5, totalBytes: 10 },
      head: { columns: ['number'], context: {}, dataStart: 0, firstLine: 1, bytes: 0, lines: 0 },
      checkpoint: { nextBatch: 3, nextRecord: 5, nextLine: 6, byteOffset: 10 },
    });
    expect(source.isClosed).toBe(true);
  });

  it('lists what is no single record, and takes columns and context of each message', async () => {
    await ingesting.queue(SOURCE);
    const ingestor = ingesting.ingestor();
    await ingestor.run(
      new HeldMessages([
        messageOf(0, null),
        messageOf(1, '1\n2'),
        messageOf(2, 'x,2', { headers: { columns: Buffer.from('name,number') } }),
        messageOf(3, '3', { headers: { columns: Buffer.from('name') } }),
        messageOf(4, '4', { headers: { context: Buffer.from('{"day":"1"}') } }),
      ]),
    );
    expect([...ingestor.broker.values.values()]).toEqual(['1\n2', 'x,2\n3', '4\n']);
    expect([...ingestor.broker.contexts]).toEqual(['{}', '{"day":"1"}']);
    const codes = [...ingestor.broker.unreadable.values()].map((list) =>
      (JSON.parse(list) as { index: number; code: string }[]).map(({ index, code }) => [index, code]),
    );
    expect(codes).toEqual([
      [
        [0, 'TOMBSTONE'],
        [1, 'NOT_ONE_RECORD'],
      ],
      [[1, 'BAD_MESSAGE_HEADER']],
      [],
    ]);
  });

  it('is read from its first message again when it is resumed, and publishes what was not acknowledged (JR2)', async () => {
    const id = await interruptedJob();
    const ingestor = await resumed(id, things(0, 20));
    expect(ingestor.broker.sent).toEqual([4, 5, 6, 7, 8, 9]);
    expect(await outcomeOf(id)).toMatchObject({
      error: null,
      totalBatches: 10,
      totalRecords: 20,
      totalBytes: 50,
    });
  });

  it.each<[string, ReadMessage[]]>([
    ['with other values', [...things(0, 3), messageOf(3, 'x'), ...things(4, 20)]],
    [
      'with the same values at other places',
      things(0, 20).map((message, at) => ({ ...message, ...placed(at * 2) })),
    ],
    ['with other keys', things(0, 20, { key: Buffer.from('k') })],
    ['that are fewer', things(0, 5)],
  ])(
    'is not resumed over messages %s: SOURCE_CHANGED, and nothing is published (JR2)',
    async (_what, messages) => {
      const id = await interruptedJob();
      const ingestor = await resumed(id, messages);
      expect(ingestor.broker.sent).toEqual([]);
      expect(await outcomeOf(id)).toMatchObject({ state: 'failed', error: { code: 'SOURCE_CHANGED' } });
    },
  );

  it('fails as SOURCE_EMPTY without messages', async () => {
    const id = await ingesting.queue(SOURCE);
    await ingesting.ingestor().run(new HeldMessages([]));
    expect(await outcomeOf(id)).toMatchObject({ state: 'failed', error: { code: 'SOURCE_EMPTY' } });
  });

  it('ends at its limit', async () => {
    const id = await ingesting.queue(SOURCE);
    await ingesting.database.query('UPDATE sluice.job SET limit_records = 3 WHERE id = $1', [id]);
    const ingestor = ingesting.ingestor();
    await ingestor.run(new HeldMessages(things(0, 20)));
    expect([...ingestor.broker.values.values()]).toEqual(['0\n1\n', '2\n']);
    expect(await outcomeOf(id)).toMatchObject({ error: null, totalRecords: 3 });
  });
});

function placed(offset: number): Pick<ReadMessage, 'place'> {
  return { place: { topic: 'sluice.things.inbox', partition: 0, offset: String(offset) } };
}
