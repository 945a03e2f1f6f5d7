import { Injectable } from '@nestjs/common';
import type { StreamAccepted, StreamResumeRequest, StreamStartRequest } from '#api/streams.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { inboxOf } from '#core/message/topics.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { Stream } from '#core/stream/stream.entity.js';
import { mergeModeOf } from '#core/stream/merge-mode.js';
import { StreamRepository } from '#core/stream/stream.repository.js';
import { StreamPoller } from './stream-poller.js';

/** Codes of a pause that is over only when an operator says that what is lost may be skipped. */
const LOST: readonly string[] = ['INBOX_EXPIRED', 'INBOX_RECREATED'];

/** What an operation of a job throws when it has been done in the meantime. */
const DONE_ALREADY: readonly string[] = ['JOB_TRANSITION_REFUSED', 'JOB_NOTHING_TO_RESUME', 'JOB_UNKNOWN'];

/** What operators ask of streams. */
@Injectable()
export class StreamCommands {
  constructor(
    private readonly streams: StreamRepository,
    private readonly registry: DatasetRegistry,
    private readonly operator: OperatorRepository,
    private readonly poller: StreamPoller,
  ) {}

  /** @throws SluiceError DATASET_UNKNOWN, NO_INBOX, STREAM_TRANSITION_REFUSED; ProblemError 422 */
  async start(name: string, settings: StreamStartRequest): Promise<StreamAccepted> {
    const dataset = this.registry.get(name);
    inboxOf(dataset);
    if (mergeModeOf(dataset) === null) {
      const message = `${name} allows replace only, and a stream merges`;
      throw new ProblemError('REQUEST_INVALID', `dataset: ${message}`, 422, {
        errors: [{ field: 'dataset', message }],
      });
    }
    return this.accepted(await this.streams.start(name, settings, dataset.contractVersion));
  }

  /** After this no job of the stream begins; those that have begun run to their end. @throws as {@link start} */
  async pause(name: string): Promise<StreamAccepted> {
    await this.known(name);
    return this.accepted(await this.streams.pause(name));
  }

  /**
   * Continues the stream, and before it those of its jobs that are paused or have failed.
   * @throws as {@link start}; SluiceError INBOX_EXPIRED or INBOX_RECREATED without `skipLost`; those of `JobCommands.resume`
   */
  async resume(name: string, { skipLost = false }: StreamResumeRequest): Promise<StreamAccepted> {
    const stream = await this.known(name);
    if (stream?.state === 'paused') await this.takeUp(stream, skipLost);
    return this.accepted(await this.streams.resume(name, skipLost));
  }

  /** Takes what is in the inbox now, then stops. @throws as {@link resume} */
  async drain(name: string): Promise<StreamAccepted> {
    const stream = await this.known(name);
    if (stream?.state === 'paused') await this.takeUp(stream, false);
    return this.accepted(await this.streams.drain(name));
  }

  /** @throws SluiceError DATASET_UNKNOWN, NO_INBOX; not for a stream whose inbox was taken away */
  private async known(name: string): Promise<Stream | null> {
    const stream = await this.streams.find(name);
    if (stream === null) inboxOf(this.registry.get(name));
    return stream;
  }

  private async takeUp(stream: Stream, skipLost: boolean): Promise<void> {
    const { dataset, detail } = stream;
    if (!skipLost && detail !== null && LOST.includes(detail.code)) {
      const { code, message } = detail;
      throw new ProblemError(code as 'INBOX_EXPIRED', message, 409);
    }
    for (const { id, state, resumable } of await this.streams.standingJobs(stream)) {
      // What has failed for good was announced by the pause; its successors do not wait for it.
      if (state === 'failed' && !resumable) continue;
      try {
        await (state === 'paused' ? this.operator.continue(id) : this.operator.resume(id));
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        if (DONE_ALREADY.includes(error.code)) continue;
        throw new SluiceError(
          error.code,
          `Job ${id} of the stream of ${dataset} cannot be continued: ${error.message}`,
          error.place,
        );
      }
    }
  }

  private accepted({ dataset, state }: Stream): StreamAccepted {
    this.poller.wake(dataset);
    return { dataset, state };
  }
}
