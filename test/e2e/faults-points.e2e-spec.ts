/**
 * Every named point (`FAULT_POINTS`), one after the other, in the middle of a job: whoever passes it is killed there
 * and started again, or is stopped there until somebody else has ended the job, and then wakes up.
 *
 * Each time (G1 to G5, G8): the outcome is the oracle's; no offset is beyond durable work; the rows of the job before
 * are there until the new ones are; nobody is wedged.
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

describe('at every fault point', () => {
  let rig: FaultRig;
  let files: readonly FaultFile[];
  let unrepeated: FaultFile;
  let jobs = 0;

  beforeAll(async () => {
    rig = await FaultRig.start({ ingestors: 2, validators: 2, loaders: 2 });
    files = [1, 2].map((seed) => rig.file({ rows: 2_000, seed, repeatShare: 0.01 }));
    unrepeated = rig.file({ rows: 2_000, seed: 3, repeatShare: 0 });
  });

  afterAll(() => rig.stop());

  afterEach(() => rig.mend());

  /** A job of another file than the one before, half-way, in the mode that the point is passed in. */
  async function startJob(point: FaultPoint): Promise<HalfJob & { file: FaultFile }> {
    if (point === 'finalizer.in-merge') {
      // A merge leaves what is there, and the oracle knows of the file alone.
      await query(rig.system, 'TRUNCATE public.tax_registration CASCADE');
      return { ...(await rig.startHalf(unrepeated, { mode: 'upsert' })), file: unrepeated };
    }
    const file = files[jobs++ % files.length]!;
    return { ...(await rig.startHalf(file)), file };
  }

  async function hit(point: FaultPoint, action: 'kill' | 'stall', job: HalfJob): Promise<ProcessName> {
    armFaultPoint(rig.system, point, action);
    job.goOn();
    return faultPointHit(rig.system, point);
  }

  it.each(FAULT_POINTS)('%s: killed there and started again', async (point) => {
    const job = await startJob(point);
    const before = await rig.contents();
    const name = await hit(point, 'kill', job);
    await eventually(() => !rig.system.isRunning(name), `${name} to be gone`);
    await rig.expectOffsetsBehindWork(job.id);
    if (point !== 'finalizer.visible') expect(await rig.contents()).toBe(before);
    await rig.system.restart(name);
    await rig.expectOutcome(job.id, job.file);
  });

  it.each(FAULT_POINTS)('%s: stopped there while others go on, and woken up afterwards', async (point) => {
    const job = await startJob(point);
    const before = await rig.contents();
    const name = await hit(point, 'stall', job);
    // Its transaction may hold the tables, or have ended the job.
    if (!HOLDS_TABLES.has(point)) expect(await rig.contents()).toBe(before);
    await rig.expectOffsetsBehindWork(job.id);
    const end = await jobEnd(rig.system, job.id);
    expect(end.state).toBe('succeeded');
    await expectTables(rig.system, job.file.expected);
    rig.system.signal(name, 'SIGCONT');
    await rig.expectOutcome(job.id, job.file);
  });

  it('two ingestors told to run one dataset at once: one job, and the other caller hears of it', async () => {
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
