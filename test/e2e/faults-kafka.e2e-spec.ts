/**
 * Faults of the broker and of what stands in its topics: they delay, they repeat, they are named, and they change
 * nothing about a job's outcome (G1 to G4, G7, G8, G10).
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from '#api/pages.js';
import type { ParkedMessageView } from '#api/parked-messages.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { STATUS_TOPIC } from '#core/message/topics.js';
import { DatabaseGate } from '../support/database-gate.js';
import { eventually } from '../support/eventually.js';
import { CLEAN, DEAD, type FaultFile, FaultRig, type HalfJob, RAW, isOfJob } from '../support/fault-rig.js';
import type { SeenMessage } from '../support/kafka-view.js';
import { clientOf, counter, jobEnd } from '../support/run-job.js';
import { shuffled } from '../support/shuffled.js';
import type { ProcessName } from '../support/system.js';

const LOADERS = 'sluice-loader';
const VALIDATORS = 'sluice-validator';
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

describe('a broker in trouble, and trouble in its topics', () => {
  let rig: FaultRig;
  let gate: DatabaseGate;
  let file: FaultFile;
  let unrepeated: FaultFile;

  beforeAll(async () => {
    rig = await FaultRig.start({
      proxiesKafka: true,
      loaders: 2,
      env: { SLUICE_MISSING_AFTER_SECONDS: '1', SLUICE_WATCH_INTERVAL_MS: '200' },
    });
    gate = await DatabaseGate.build(rig.system);
    file = rig.file();
    unrepeated = rig.file({ seed: 8, repeatShare: 0 });
  });

  afterAll(() => rig.stop());

  afterEach(async () => {
    await gate.open();
    for (const topic of [RAW, CLEAN]) await rig.kafka.setLargestMessage(topic, MAX_MESSAGE_BYTES);
    await rig.mend();
  });

  const bothLoaders = async (work: (name: ProcessName) => Promise<void>): Promise<void> => {
    await Promise.all(['loader', 'loader-2'].map(work));
  };
  const messagesOf = async (topic: string, id: string): Promise<SeenMessage[]> =>
    (await rig.kafka.messages(topic)).filter((message) => isOfJob(message, id));

  /** A job whose every batch is judged, and some loaded, and whose loaders are gone. */
  async function judgedJob(of = file): Promise<HalfJob> {
    const job = await rig.startHalf(of);
    // They leave their group at once. Killed, one may have committed a batch and not announced it (faults-points).
    await bothLoaders((name) => rig.system.kill(name, 'SIGTERM'));
    job.goOn();
    await eventually(async () => (await totalBatches(job.id)) !== null, 'the source to be read to its end');
    await eventually(async () => (await rig.kafka.lagOf(VALIDATORS, RAW)) === 0, 'all to be judged');
    return job;
  }

  async function totalBatches(id: string): Promise<number | null> {
    const { stages } = await clientOf(rig.system).job(id);
    const ingest = stages.find(({ stage }) => stage === 'ingest');
    return ingest?.done === true ? ingest.batches : null;
  }

  it('the broker killed at random moments', async () => {
    const id = await rig.startInterrupted(file, 1, async () => {
      await rig.system.kill('kafka');
      expect(await rig.problems('loader', 'live')).toEqual([]);
      await rig.system.restart('kafka');
    });
    await rig.expectOutcome(id, file);
  });

  it.each([
    ['ingestor', RAW],
    ['validator', DEAD],
    ['validator', CLEAN],
    ['loader', STATUS_TOPIC],
  ])(
    'answers to what the %s sends to %s are lost: it sends again, and nothing is twice',
    async (name, topic) => {
      const job = await rig.startHalf(file);
      rig.system.kafkaProxy.loseProduceResponses(`sluice-${name}`, topic, 2);
      job.goOn();
      await eventually(() => rig.system.kafkaProxy.toLose === 0, 'two answers to be lost');
      await rig.expectOutcome(job.id, file);
      const sent = (await rig.kafka.messages(topic)).filter(({ key }) => String(key).startsWith(job.id));
      expect(new Set(sent.map(identity)).size).toBeLessThan(sent.length);
    },
  );

  it('the broker refuses clean batches as too large: the validator says so, and continues when it may', async () => {
    const job = await rig.startHalf(file);
    await rig.kafka.setLargestMessage(CLEAN, 1_000);
    job.goOn();
    await rig.untilWaiting('validator', TOO_LARGE);
    await rig.kafka.setLargestMessage(CLEAN, MAX_MESSAGE_BYTES);
    await rig.expectOutcome(job.id, file);
  });

  it('the broker refuses raw batches as too large: the job fails by that name, and is resumed when it may', async () => {
    const job = await rig.startHalf(file);
    await rig.kafka.setLargestMessage(RAW, 1_000);
    job.goOn();
    const failed = await jobEnd(rig.system, job.id);
    expect(failed).toMatchObject({ state: 'failed', error: { code: 'MESSAGE_TOO_LARGE' }, resumable: true });
    await rig.kafka.setLargestMessage(RAW, MAX_MESSAGE_BYTES);
    await clientOf(rig.system).resumeJob(job.id, {});
    await rig.expectOutcome(job.id, file);
  });

  it('offsets that were forgotten, and batches that are delivered again, while the job runs and after it has ended', async () => {
    const job = await judgedJob();
    for (const name of ['validator', 'tracker']) await rig.system.kill(name, 'SIGTERM');
    for (const group of [LOADERS, VALIDATORS, 'sluice-tracker']) await rig.kafka.forget(group);
    await Promise.all(['validator', 'tracker', 'loader', 'loader-2'].map((name) => rig.system.restart(name)));
    await rig.kafka.sendAgain(await messagesOf(CLEAN, job.id));
    await rig.expectOutcome(job.id, file);
    const dropped = async (): Promise<number> =>
      (await counter(rig.system, 'loader', 'sluice_clean_batches_total', 'outcome="dropped"')) +
      (await counter(rig.system, 'loader-2', 'sluice_clean_batches_total', 'outcome="dropped"'));
    const before = await dropped();
    const late = await messagesOf(CLEAN, job.id);
    await rig.kafka.sendAgain(late);
    await eventually(async () => (await dropped()) === before + late.length, 'all of them to be dropped');
    await rig.expectOutcome(job.id, file);
  });

  it('batches that are judged again, and batches out of order', async () => {
    const job = await judgedJob();
    const clean = await messagesOf(CLEAN, job.id);
    await rig.kafka.seek(LOADERS, CLEAN, ({ high }) => high);
    const random = new SeededRandom(5);
    await rig.kafka.sendAgain(shuffled([...clean, ...clean.slice(0, 5)], random));
    await rig.kafka.sendAgain(shuffled(await messagesOf(RAW, job.id), random));
    await bothLoaders((name) => rig.system.restart(name));
    await rig.expectOutcome(job.id, file);
  });

  it('a loader leaves in the middle of a batch, another joins in the middle of one', async () => {
    const job = await rig.startHalf(file);
    await gate.slow(0.002);
    job.goOn();
    await rig.untilLoaded(job.id, 2);
    await rig.system.kill('loader-2', 'SIGTERM');
    await rig.expectOffsetsBehindWork(job.id);
    const loaded = (await rig.ledger(job.id)).length;
    await eventually(async () => {
      const batches = (await rig.ledger(job.id)).length;
      return batches > loaded || batches === (await totalBatches(job.id));
    }, 'the other one to go on');
    await rig.system.restart('loader-2');
    await eventually(async () => (await rig.kafka.membersOf(LOADERS)) === 2, 'both to be members');
    await gate.open();
    await rig.expectOutcome(job.id, file);
  });

  it('waiting for longer than a session: the loaders keep their partitions', async () => {
    const job = await rig.startHalf(file);
    await gate.shut('53100');
    job.goOn();
    // Back-offs of 0.5, 1, 2 s: more than a session.
    await eventually(() => /"attempt":4/.test(rig.system.logsOf('loader')), 'the fourth try');
    expect(await rig.kafka.membersOf(LOADERS)).toBe(2);
    await gate.open();
    await rig.expectOutcome(job.id, file);
  });

  it('poison in every topic: parked with its reason and counted, and what stands behind it is processed', async () => {
    const job = await rig.startHalf(file);
    const parkedBefore = (await parked()).length;
    const letterOf = (await rig.kafka.messages(DEAD)).at(-1)!;
    const eventOf = (await rig.kafka.messages(STATUS_TOPIC)).at(-1)!;
    const [raw] = await messagesOf(RAW, job.id);
    const [clean] = await messagesOf(CLEAN, job.id);
    const poison = [
      ...poisoned(raw!, 'batch', raw!.value!.subarray(0, 100)),
      ...poisoned(clean!, 'raw', clean!.value!.subarray(0, 100)),
      // A dead letter is any bytes; only their absence is wrong.
      ...poisoned(letterOf, 'record', null),
      ...poisoned(eventOf, 'v', eventOf.value!.subarray(0, 20)),
    ];
    await rig.kafka.sendAgain(poison);
    job.goOn();
    await rig.expectOutcome(job.id, file);
    const found = await eventually(async () => {
      const all = await parked();
      return all.length === parkedBefore + poison.length && all.slice(0, poison.length);
    }, 'all of it to be parked');
    for (const topic of [RAW, CLEAN, DEAD, STATUS_TOPIC]) {
      const reasons = found.filter((message) => message.topic === topic).map(({ reason }) => reason);
      expect(reasons).toHaveLength(3);
      expect(reasons).toContainEqual(expect.stringMatching(/version 99/));
      expect(reasons).toContainEqual(expect.stringMatching(/is missing/));
    }
    const counts = await Promise.all(
      ['validator', 'loader', 'loader-2', 'tracker'].map((name) =>
        counter(rig.system, name, 'sluice_parked_messages_total'),
      ),
    );
    expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(poison.length);
  });

  async function parked(): Promise<readonly ParkedMessageView[]> {
    const answer = await fetch(`${rig.system.trackerUrl}/parked-messages?limit=100`);
    return ((await answer.json()) as Page<ParkedMessageView>).items;
  }

  it('the status topic is lost and made again: the job ends as ever, and the tracker learns of it', async () => {
    const job = await rig.startHalf(file);
    await rig.kafka.admin.deleteTopics({ topics: [STATUS_TOPIC] });
    job.goOn();
    await eventually(
      async () => (await rig.problems('validator', 'ready')).length > 0,
      'a service to say so',
    );
    await rig.system.migrate();
    expect((await jobEnd(rig.system, job.id)).state).toBe('succeeded');
    await rig.system.rebuildTracker();
    await rig.expectOutcome(job.id, file);
  });

  it.each([
    ['clean batches', [CLEAN]],
    ['raw and clean batches', [RAW, CLEAN]],
  ])('%s expire under a job: it names them, and a resume completes it', async (_, topics) => {
    // A repeat that is found at the end needs its raw batch, for its dead letter.
    const source = topics.includes(RAW) ? unrepeated : file;
    const job = await judgedJob(source);
    for (const topic of topics) await rig.kafka.expire(topic);
    await bothLoaders((name) => rig.system.restart(name));
    const { problem } = await eventually(async () => {
      const found = await clientOf(rig.system).job(job.id);
      return found.problem !== null && found;
    }, 'the job to say what it misses');
    expect(problem).toMatchObject({ code: 'BATCHES_MISSING' });
    const loaded = await rig.ledger(job.id);
    const firstMissing = loaded.findIndex((batch, index) => batch !== index);
    expect(problem?.firstMissingBatch).toBe(firstMissing < 0 ? loaded.length : firstMissing);
    await clientOf(rig.system).resumeJob(job.id, {});
    await rig.expectOutcome(job.id, source);
  });
});

const TOO_LARGE = /bytes that it takes \(max\.message\.bytes\)/;

/** Of a batch, a dead letter or an event: repeats of it are the same. Events carry a time, which differs. */
function identity({ key, value, topic }: SeenMessage): string {
  if (topic !== STATUS_TOPIC) return String(key);
  const { type, batch, stage, step } = JSON.parse(String(value)) as Record<string, unknown>;
  return [type, batch, stage, step].join();
}

/** Three messages made of a right one: of a version to come, without a header, and with a value cut off. */
function poisoned(message: SeenMessage, header: string, value: Buffer | null): SeenMessage[] {
  const { [header]: _, ...rest } = message.headers;
  return [
    { ...message, headers: { ...message.headers, v: '99' } },
    { ...message, headers: rest },
    { ...message, value },
  ];
}
