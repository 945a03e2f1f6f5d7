/**
 * Every named point (`FAULT_POINTS`) in a job, one or two of its stages and one of its end in each: the process that
 * passes it is killed there and started again, or stopped there until others have ended the job, and then woken up.
 *
 * Each time (G1 to G5, G8): the outcome is the oracle's; no offset is beyond durable work; the rows of the job before
 * are there until the new ones are; no process is wedged. Offsets are compared as soon as one is gone, before any
 * else could have made up for what was lost.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { FAULT_POINTS, type FaultPoint } from '#common/faults/fault-point.js';
import { SluiceClient } from '../../apps/cli/src/client.js';
import { eventually } from '../support/eventually.js';
import { expectTables, query } from '../support/expect-tables.js';
import { armFaultPoint, faultPointHit } from '../support/fault-points.js';
import { DATASET, type FaultFile, FaultRig, type HalfJob } from '../support/fault-rig.js';
import { jobEnd } from '../support/run-job.js';
import type { ProcessName } from '../support/system.js';

interface Meeting {
  /** Passed while batches are under way, by different services. */
  readonly onTheWay: readonly FaultPoint[];
  /** Passed afterwards. */
  readonly atTheEnd: FaultPoint;
}

/** The ingestor publishes again what a validator could have lost, so these two never meet. */
const MEETINGS: readonly Meeting[] = [
  { onTheWay: ['validator.before-dead', 'loader.before-begin'], atTheEnd: 'finalizer.settling' },
  { onTheWay: ['validator.dead-sent', 'loader.in-copy'], atTheEnd: 'finalizer.index-build' },
  { onTheWay: ['validator.clean-sent', 'loader.before-commit'], atTheEnd: 'finalizer.before-swap' },
  { onTheWay: ['validator.status-sent', 'loader.committed'], atTheEnd: 'finalizer.in-swap' },
  { onTheWay: ['ingestor.before-totals', 'loader.announced'], atTheEnd: 'finalizer.in-merge' },
  { onTheWay: ['ingestor.published'], atTheEnd: 'finalizer.visible' },
];
const TITLED = MEETINGS.map((meeting) => ({
  ...meeting,
  title: [...meeting.onTheWay, meeting.atTheEnd].join(', '),
}));

describe('at every fault point', () => {
  let rig: FaultRig;
  let files: readonly FaultFile[];
  let unrepeated: FaultFile;
  let jobs = 0;

  beforeAll(async () => {
    // Of the loaders one stops on the way and one at the end, and one works.
    rig = await FaultRig.start({ ingestors: 2, validators: 2, loaders: 3 });
    files = [1, 2].map((seed) => rig.file({ rows: 2_000, seed, repeatShare: 0.01 }));
    unrepeated = rig.file({ rows: 2_000, seed: 3, repeatShare: 0 });
  });

  afterAll(() => rig.stop());

  afterEach(() => rig.mend());

  /** A job of another file than the one before, half-way, in the mode that the points are passed in. */
  async function startJob({ atTheEnd }: Meeting): Promise<HalfJob & { file: FaultFile }> {
    if (atTheEnd === 'finalizer.in-merge') {
      // A merge leaves what is there, and the oracle knows of the file alone.
      await query(rig.system, 'TRUNCATE public.tax_registration CASCADE');
      return { ...(await rig.startHalf(unrepeated, { mode: 'upsert' })), file: unrepeated };
    }
    const file = files[jobs++ % files.length]!;
    return { ...(await rig.startHalf(file)), file };
  }

  const arm = (action: 'kill' | 'stall', { onTheWay, atTheEnd }: Meeting): void => {
    for (const point of [...onTheWay, atTheEnd]) armFaultPoint(rig.system, point, action);
  };
  const hit = (points: readonly FaultPoint[]): Promise<ProcessName[]> =>
    Promise.all(points.map((point) => faultPointHit(rig.system, point)));

  it('none is left out', () => {
    const all = MEETINGS.flatMap(({ onTheWay, atTheEnd }) => [...onTheWay, atTheEnd]);
    expect(all.sort()).toEqual([...FAULT_POINTS].sort());
  });

  it.each(TITLED)('$title: killed there and started again', async (meeting) => {
    const job = await startJob(meeting);
    const before = await rig.contents();
    arm('kill', meeting);
    job.goOn();
    for (const points of [meeting.onTheWay, [meeting.atTheEnd]]) {
      const names = await hit(points);
      for (const name of names) await eventually(() => !rig.system.isRunning(name), `${name} to be gone`);
      await rig.expectOffsetsBehindWork(job.id);
      if (!points.includes('finalizer.visible')) expect(await rig.contents()).toBe(before);
      // The others work meanwhile; whether it is ready again is seen at the end.
      for (const name of names) await rig.system.restart(name, { waitsForReady: false });
    }
    await rig.expectOutcome(job.id, job.file);
  });

  it.each(TITLED)('$title: stopped there while others work, and woken up afterwards', async (meeting) => {
    const job = await startJob(meeting);
    const before = await rig.contents();
    arm('stall', meeting);
    job.goOn();
    const names: ProcessName[] = [];
    for (const points of [meeting.onTheWay, [meeting.atTheEnd]]) {
      names.push(...(await hit(points)));
      // Its transaction may hold the tables, or have ended the job.
      if (!points.some((point) => HOLDS_TABLES.has(point))) expect(await rig.contents()).toBe(before);
      await rig.expectOffsetsBehindWork(job.id);
    }
    expect(new Set(names).size).toBe(names.length);
    const end = await jobEnd(rig.system, job.id);
    expect(end.state).toBe('succeeded');
    await expectTables(rig.system, job.file.expected);
    for (const name of names) rig.system.signal(name, 'SIGCONT');
    await rig.expectOutcome(job.id, job.file);
  });

  it('two ingestors asked to run one dataset at once: one job, and the other caller is refused with its id', async () => {
    const [file] = files;
    const { token, trackerUrl } = rig.system;
    const requests = ['ingestor', 'ingestor-2'].map((name) =>
      new SluiceClient({ token, trackerUrl, ingestorUrl: rig.system.urlOf(name) }).startJob({
        dataset: DATASET,
        source: file!.path,
        allowShrink: true,
      }),
    );
    const answers = await Promise.allSettled(requests);
    const [accepted] = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const [refused] = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [answer.reason as unknown] : [],
    );
    expect(refused).toMatchObject({ code: 'JOB_ACTIVE', place: { job: accepted?.id } });
    await jobEnd(rig.system, accepted!.id);
    expect(await query(rig.system, 'SELECT id FROM sluice.job WHERE id >= $1', [accepted!.id])).toHaveLength(
      1,
    );
    await rig.expectOutcome(accepted!.id, file!);
  });
});

const HOLDS_TABLES: ReadonlySet<FaultPoint> = new Set(['finalizer.in-swap', 'finalizer.visible']);
