import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '#core/dataset/generate.js';
import { STATUS_TOPIC, topicOf } from '#core/message/topics.js';
import type { JobNow } from './chaos-database.js';
import { type Fault, SERVICES } from './chaos-plan.js';
import { type ChaosRound, DATASET } from './chaos-round.js';
import { fillDiskUnder, freeDiskUnder } from './full-disk.js';
import { problemOf } from './supervision.js';
import { truncateLogs } from './truncate-logs.js';

/** How long a paused job is looked at: several looks of an ingestor and of a loader's back-off. */
const PAUSE_MS = 700;
const FULL_DISK_MS = 1_000;
/** What a paused job's source has given. Not all: the job must not be over when it is cancelled next. */
const MOST_WHILE_PAUSED = 0.98;

/** Makes planned faults happen. Each waits until it can: a process that is not there cannot be killed. */
export class FaultDoer {
  constructor(private readonly round: ChaosRound) {}

  async do(fault: Fault): Promise<void> {
    const { patience, parts, source } = this.round;
    const { supervision } = parts;
    switch (fault.kind) {
      case 'kill':
      case 'terminate': {
        const signal = fault.kind === 'kill' ? 'SIGKILL' : 'SIGTERM';
        await patience.until(`${fault.process} to be there`, () => supervision.kill(fault.process, signal));
        if (fault.kind === 'kill') await patience.until('its end', () => supervision.isGone(fault.process));
        break;
      }
      case 'stall':
        await patience.until(`${fault.process} to be there`, () => supervision.stall(fault.process));
        break;
      case 'point':
        this.round.arm(fault);
        return;
      case 'cut connections':
        await patience.until('connections to cut', () => this.cutConnections(fault.share, fault.seed));
        break;
      case 'break source':
        await patience.until('the source to be read', () => source?.breakOff());
        break;
      case 'fail source and resume':
        await this.failAndResume();
        break;
      case 'pause and continue':
        await this.pauseAndContinue();
        break;
      case 'cancel and start again':
        await this.cancelAndStartAgain();
        break;
      case 'send again': {
        const start = this.round.audit.startOf(topicOf(DATASET, fault.topic));
        const again = () => parts.topics.sendAgain(topicOf(DATASET, fault.topic), start, fault.seed);
        await patience.until('messages to be sent again', () => again().catch(() => null));
        break;
      }
      case 'compress topic':
        await patience.until('the topic to be compressed', () =>
          parts.topics.compress(topicOf(DATASET, fault.topic), fault.codec).catch(() => null),
        );
        break;
      case 'send poison': {
        const topic = fault.topic === 'status' ? STATUS_TOPIC : topicOf(DATASET, fault.topic);
        await patience.until('poison to be sent', () => parts.topics.sendPoison(topic).catch(() => null));
        break;
      }
      case 'write beside':
        this.round.writeBeside(fault.seed);
        break;
      case 'grow partitions':
        await patience.until('partitions to be added', () =>
          parts.topics.addPartition(topicOf(DATASET, fault.topic)).catch(() => null),
        );
        break;
      case 'roll services':
        for (const name of SERVICES) await this.roll(name);
        break;
      case 'lose tail':
        await this.loseTail(topicOf(DATASET, fault.topic), fault.share);
        break;
      case 'fill disk':
        await this.fillDisk(fault.service);
        break;
      case 'lose answers':
        parts.system.kafkaProxy.loseProduceResponses(`sluice-${fault.service}`, '', fault.times);
        break;
    }
    this.round.hasHappened(fault);
  }

  /** Ends a service in good order; it is started again, and the next one has its turn when it is ready. */
  private async roll(name: string): Promise<void> {
    const { patience, parts } = this.round;
    const { supervision, system } = parts;
    await patience.until(`${name} to be there`, () => supervision.kill(name, 'SIGTERM'));
    await patience.until(`${name} to end`, () => supervision.isGone(name));
    await patience.until(
      `${name} to be ready again`,
      async () => system.isRunning(name) && (await problemOf(`${system.urlOf(name)}/health/ready`)) === null,
    );
  }

  /** An operator resumes the job as soon as it says what is missing. */
  private async loseTail(topic: string, share: number): Promise<void> {
    const { patience, parts, audit } = this.round;
    const { supervision, system } = parts;
    await patience.until('kafka to be there', () => supervision.hold('kafka'));
    await patience.until('its end', () => supervision.isGone('kafka'));
    truncateLogs(join(system.folder, 'kafka', 'data'), topic, share);
    supervision.letGo('kafka');
    audit.forget();
    this.round.resumeWhenBatchesAreMissing();
  }

  private async fillDisk(name: string): Promise<void> {
    const { patience, parts, problems } = this.round;
    const { supervision, system } = parts;
    await patience.until(`${name} to be there`, () => supervision.isUp(name));
    const pid = system.pidOf(name);
    if (!fillDiskUnder(pid)) return;
    await sleep(FULL_DISK_MS);
    if (!freeDiskUnder(pid) && !supervision.isExpectedEnd(name, pid)) {
      problems.push(`${name} ended because it could not write its log`);
    }
  }

  /** @returns true when at least one was cut */
  private async cutConnections(share: number, seed: number): Promise<boolean> {
    const random = new SeededRandom(seed);
    const { database } = this.round.parts;
    const backends = await database.rowsOrNull<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sluice%' ORDER BY backend_start, pid`,
    );
    const chosen = (backends ?? []).filter((_, index) => index === 0 || random.chance(share));
    const pids = chosen.map(({ pid }) => pid);
    const cut = await database.rowsOrNull('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [
      pids,
    ]);
    return (cut?.length ?? 0) > 0;
  }

  private async failAndResume(): Promise<void> {
    const { patience, operator, source } = this.round;
    source?.vanish();
    await patience.until('the job to fail', async () => (await this.round.now())?.state === 'failed');
    source?.comeBack();
    const goesOn = ['queued', 'running', 'finalizing', 'succeeded'] as const;
    await patience.until('the job to be resumed', () => operator.command('resume', this.round.job, goesOn));
  }

  /** Nothing is loaded from the answer to `pause` to the call of `continue`, whatever the source gives. */
  private async pauseAndContinue(): Promise<void> {
    const { patience, operator, job, source, problems } = this.round;
    await patience.until('the job to be paused', () => operator.command('pause', job, ['paused']));
    const first = await this.seen();
    source?.release(MOST_WHILE_PAUSED);
    await sleep(PAUSE_MS);
    const last = await this.seen();
    if (first.state === 'paused' && last.loaded_batches > first.loaded_batches) {
      problems.push(
        `${last.loaded_batches - first.loaded_batches} batches were loaded while the job was paused`,
      );
    }
    const goesOn = ['running', 'finalizing', 'succeeded', 'failed'] as const;
    await patience.until('the job to be continued', () => operator.command('continue', job, goesOn));
  }

  /** Nothing is loaded after the answer to `cancel`. */
  private async cancelAndStartAgain(): Promise<void> {
    const { patience, operator, job } = this.round;
    await patience.until('the job to be cancelled', () => operator.command('cancel', job, ['cancelled']));
    const { loaded_batches: loaded } = await this.seen();
    this.round.cancelled.push({ job, loaded });
    await this.round.startJob();
  }

  private async seen(): Promise<JobNow> {
    return this.round.patience.until('the job row', () => this.round.now());
  }
}
