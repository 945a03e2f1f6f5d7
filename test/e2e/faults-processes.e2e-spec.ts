/**
 * Services that are killed, ended, stopped, or lose their clock at random moments (G8). The named moments stand in faults-points.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { SeededRandom } from '#core/dataset/generate.js';
import { DatabaseGate } from '../support/database-gate.js';
import { eventually } from '../support/eventually.js';
import { query } from '../support/expect-tables.js';
import { type FaultFile, FaultRig, RAW, isOfJob } from '../support/fault-rig.js';
import type { ProcessName } from '../support/system.js';
import { shuffled } from '../support/shuffled.js';

const SERVICES: readonly ProcessName[] = ['ingestor', 'validator', 'loader', 'tracker'];

describe('services at any moment', () => {
  let rig: FaultRig;
  let gate: DatabaseGate;
  let file: FaultFile;

  beforeAll(async () => {
    const preload = pathToFileURL(join(import.meta.dirname, '..', 'support', 'clock-set-back.js'));
    rig = await FaultRig.start({ env: { NODE_OPTIONS: `--import=${preload.href}` } });
    gate = await DatabaseGate.build(rig.system);
    file = rig.file({ rows: 6_000 });
  });

  afterAll(() => rig.stop());

  afterEach(async () => {
    await gate.open();
    await rig.mend();
  });

  it.each([1, 2])('kill -9 of each of them, in random order at random moments, seed %i', async (seed) => {
    const random = new SeededRandom(seed);
    const job = await rig.startHalf(file, {}, [0.2, 0.4, 0.6, 0.8]);
    for (const name of shuffled(SERVICES, random)) {
      const loaded = (await rig.ledger(job.id)).length;
      // Every second seed kills them while the source is silent: all that is published is in the checkpoint then.
      if (seed % 2 === 0) await untilCheckpointed(job.id);
      else job.goOn();
      await rig.untilLoaded(job.id, loaded + (seed % 2 === 0 ? 0 : random.below(4)));
      await rig.system.kill(name);
      await rig.expectOffsetsBehindWork(job.id);
      await rig.system.restart(name);
      if (seed % 2 === 0) job.goOn();
    }
    await rig.expectOutcome(job.id, file);
  });

  it('SIGTERM of each of them in the middle of a batch: it drains, and others continue what it leaves', async () => {
    const job = await rig.startHalf(file);
    // A load transaction takes about a second, so the loader has one in hand; the others have what half a file brings.
    await gate.slow(0.0005);
    job.goOn();
    await eventually(async () => (await copyingBackends()) > 0, 'a COPY to be under way');
    await Promise.all(SERVICES.map((name) => rig.system.kill(name, 'SIGTERM')));
    for (const name of SERVICES) expect(rig.system.logsOf(name)).toContain('"msg":"drained"');
    await rig.expectOffsetsBehindWork(job.id);
    // Left, not missed: no process has to wait for a session to run out.
    for (const group of ['sluice-validator', 'sluice-loader', 'sluice-tracker'])
      expect(await rig.kafka.membersOf(group)).toBe(0);
    await gate.open();
    await Promise.all(SERVICES.map((name) => rig.system.restart(name)));
    await rig.expectOutcome(job.id, file);
  });

  it('validator, loader and tracker, stopped past their sessions and woken up', async () => {
    const job = await rig.startHalf(file);
    const names = ['loader', 'validator', 'tracker'];
    for (const name of names) rig.system.signal(name, 'SIGSTOP');
    job.goOn();
    for (const name of names) {
      const isMissed = async (): Promise<boolean> => (await rig.kafka.membersOf(`sluice-${name}`)) === 0;
      await eventually(isMissed, `${name} to be missed`);
    }
    for (const name of names) rig.system.signal(name, 'SIGCONT');
    await rig.expectOutcome(job.id, file);
  });

  it('ingestor, stopped past its lease and woken up: shown as interrupted in between', async () => {
    const job = await rig.startHalf(file);
    rig.system.signal('ingestor', 'SIGSTOP');
    await eventually(async () => {
      const answer = await fetch(`${rig.system.trackerUrl}/jobs/${job.id}`);
      return ((await answer.json()) as { interrupted: boolean }).interrupted;
    }, 'the job to be shown as interrupted');
    rig.system.signal('ingestor', 'SIGCONT');
    job.goOn();
    await rig.expectOutcome(job.id, file);
  });

  it('clocks set back by an hour in the middle: leases, sessions and waits do not go by them', async () => {
    const job = await rig.startHalf(file);
    const before = Date.now();
    for (const name of SERVICES) rig.system.signal(name, 'SIGUSR2');
    job.goOn();
    await rig.expectOutcome(job.id, file);
    for (const name of ['ingestor', 'loader']) {
      const said = rig.system.logsOf(name).trimEnd().split('\n').at(-1) ?? '';
      const { time } = JSON.parse(said) as { time: string };
      expect(Date.parse(time)).toBeLessThan(before - 30 * 60 * 1000);
    }
  });

  async function untilCheckpointed(id: string): Promise<void> {
    await eventually(async () => {
      const [job] = await query<{ batches: number | null }>(
        rig.system,
        `SELECT (checkpoint->>'nextBatch')::int AS batches FROM sluice.job WHERE id = $1`,
        [id],
      );
      const published = (await rig.kafka.messages(RAW)).filter((message) => isOfJob(message, id));
      return job?.batches === new Set(published.map(({ key }) => String(key))).size;
    }, 'the checkpoint to hold all that is published');
  }

  async function copyingBackends(): Promise<number> {
    const rows = await query(
      rig.system,
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'COPY %'`,
    );
    return rows.length;
  }
});
