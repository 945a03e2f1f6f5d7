import { Injectable } from '@nestjs/common';
import type { ReplayAccepted, ReplayRequest, ReplayView } from '#api/replays.js';
import { ReplayReader } from '#core/replay/replay.reader.js';
import { ReplayRepository } from '#core/replay/replay.repository.js';
import { ReplayPlanner } from './replay-planner.js';
import { ReplayPoller } from './replay-poller.js';

/** What operators ask of replays. */
@Injectable()
export class ReplayCommands {
  constructor(
    private readonly planner: ReplayPlanner,
    private readonly replays: ReplayRepository,
    private readonly reader: ReplayReader,
    private readonly poller: ReplayPoller,
  ) {}

  /** Says what a replay covers and what retention has deleted, and begins it unless that is all that is asked. @throws as `ReplayPlanner.plan` */
  async create(request: ReplayRequest): Promise<ReplayAccepted> {
    const plan = await this.planner.plan(request, this.poller.signal);
    const { dataset, covers, deleted, leftOut } = plan;
    const id = request.dryRun === true ? null : await this.replays.create(plan);
    if (id !== null) this.poller.wake();
    return { id, dataset, covers, deleted, leftOut };
  }

  /**
   * After the answer no job of the replay begins, and its active ones are cancelled; those that have ended stay as they are.
   * @throws SluiceError REPLAY_UNKNOWN, REPLAY_TRANSITION_REFUSED
   */
  async cancel(id: string): Promise<ReplayView> {
    await this.poller.cancelJobs(await this.replays.cancel(id));
    await this.poller.look();
    return this.reader.show(id);
  }
}
