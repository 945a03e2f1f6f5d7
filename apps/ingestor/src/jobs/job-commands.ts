import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { JobAccepted, JobCancelled, ResumeRequest } from '#api/jobs.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { activeJobProblem } from './active-job-problem.js';
import { JobRunner } from './job-runner.js';
import { newestToResume } from './newest-to-resume.js';

const OWNER_POLL_MS = 200;

/** What operators ask of jobs that are there already, and what this ingestor has to do about its own ones. */
@Injectable()
export class JobCommands {
  constructor(
    private readonly operator: OperatorRepository,
    private readonly runner: JobRunner,
    private readonly database: DataSource,
  ) {}

  /**
   * Resolves when nothing more is published for the job: the ingestor that ran it, this one or another, has
   * released it, or has shown no sign of life for a lease.
   * @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED
   */
  async cancel(id: string): Promise<JobCancelled> {
    const cancelled = await this.operator.cancel(id);
    await this.runner.recheck(id);
    while ((await this.operator.ownerOf(id)) !== null) await delay(OWNER_POLL_MS);
    return cancelled;
  }

  /** Other ingestors stop publishing within a second. @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED */
  async pause(id: string): Promise<JobAccepted> {
    const paused = await this.operator.pause(id);
    await this.runner.recheck(id);
    return paused;
  }

  /** @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED */
  async continue(id: string): Promise<JobAccepted> {
    const continued = await this.operator.continue(id);
    await this.runner.recheck(id);
    return continued;
  }

  /** @throws SluiceError JOB_UNKNOWN, JOB_NOTHING_TO_RESUME, JOB_RESUME_REFUSED; ProblemError 409 with the active job */
  async resume(id: string, limits: ResumeRequest): Promise<JobAccepted> {
    try {
      return await this.operator.resume(id, limits);
    } catch (error) {
      throw activeJobProblem(error);
    }
  }

  /** Resumes the newest job that can be; errors as `resume`. */
  async resumeNewest(limits: ResumeRequest): Promise<JobAccepted> {
    const id = await newestToResume(poolOf(this.database));
    if (id === null) {
      throw new SluiceError('JOB_NOTHING_TO_RESUME', 'No job has failed, stands still or was interrupted.');
    }
    return this.resume(id, limits);
  }

  /** @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED */
  async discard(id: string): Promise<JobAccepted> {
    return this.operator.discard(id);
  }
}
