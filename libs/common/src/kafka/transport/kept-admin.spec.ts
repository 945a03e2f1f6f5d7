import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import { KeptAdmin } from './kept-admin.js';

const TOPIC = 'sluice.things.raw';

/** Brokers with one topic, whose connections can be made to fail. */
class Brokers {
  partitions = 3;
  made = 0;
  open = 0;
  asked = 0;
  /** Numbers of connections, by the order in which they were made, that answer with an error. */
  readonly broken = new Set<number>();

  readonly kafka = {
    admin: () => {
      const number = ++this.made;
      return {
        connect: () => {
          this.open += 1;
          return Promise.resolve();
        },
        disconnect: () => {
          this.open -= 1;
          return Promise.resolve();
        },
        fetchTopicMetadata: () => {
          this.asked += 1;
          if (this.broken.has(number)) return Promise.reject(new Error('ECONNRESET'));
          const partitions = Array.from({ length: this.partitions }, (_, id) => id);
          return Promise.resolve({ topics: [{ name: TOPIC, partitions }] });
        },
      };
    },
  } as unknown as Kafka;
}

describe('an admin connection that is kept', () => {
  let brokers: Brokers;
  let admin: KeptAdmin;

  beforeEach(() => {
    brokers = new Brokers();
    admin = new KeptAdmin(brokers.kafka);
  });

  it('is made once, and each question is answered by the brokers (AD1)', async () => {
    expect(await Promise.all([admin.countPartitions(TOPIC), admin.countPartitions(TOPIC)])).toEqual([3, 3]);
    brokers.partitions = 2;
    expect(await admin.countPartitions(TOPIC)).toBe(2);
    expect(brokers).toMatchObject({ made: 1, open: 1, asked: 3 });
    await admin.close();
    expect(brokers.open).toBe(0);
  });

  it('is given up when it fails, and the question is asked again on a fresh one (AD2)', async () => {
    await admin.countPartitions(TOPIC);
    brokers.broken.add(1);
    expect(await admin.countPartitions(TOPIC)).toBe(3);
    // The fresh one is closed behind its question, and the next question has the next kept one.
    expect(brokers).toMatchObject({ made: 2, open: 0 });
    expect(await admin.countPartitions(TOPIC)).toBe(3);
    expect(brokers).toMatchObject({ made: 3, open: 1 });
  });

  it('leaves it to the fresh one to say what is wrong (AD2)', async () => {
    brokers.broken.add(1).add(2);
    await expect(admin.countPartitions(TOPIC)).rejects.toMatchObject({ name: 'SluiceError' });
    expect(brokers.open).toBe(0);
    await expect(admin.close()).resolves.toBeUndefined();
  });
});
