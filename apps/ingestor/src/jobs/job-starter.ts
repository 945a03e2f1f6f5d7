import { Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import type { JobAccepted, JobRequest } from '#api/jobs.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import { type Breaker, DEFAULT_BREAKER, type Dataset, resolveOptions } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { NewJob } from '#core/job/create-job.js';
import type { JobSource } from '#core/job/job.entity.js';
import { JobRepository } from '#core/job/job.repository.js';
import type { Caller } from '../sources/caller.js';
import { SOURCE_KINDS } from '../sources/source-kinds.js';
import { activeJobProblem } from './active-job-problem.js';

interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** Accepts jobs: checks a request against its dataset, and queues it if no active job excludes it. */
@Injectable()
export class JobStarter {
  constructor(
    private readonly registry: DatasetRegistry,
    private readonly jobs: JobRepository,
  ) {}

  /**
   * @param owner this process, when it will run the job at once; null: any ingestor
   * @throws ProblemError 422 listing every wrong field, 409 with the active job
   */
  async start(request: JobRequest, caller: Caller, owner: string | null = null): Promise<JobAccepted> {
    const dataset = this.datasetOf(request);
    const source = request.source ?? dataset.defaultSource;
    const errors: FieldError[] = [];
    if (source === undefined)
      errors.push({ field: 'source', message: `${dataset.name} has no default source` });
    const mode = request.mode ?? dataset.writeModes[0];
    if (mode === undefined || !dataset.writeModes.includes(mode)) {
      errors.push({ field: 'mode', message: `${dataset.name} allows ${dataset.writeModes.join(', ')}` });
    }
    if (request.existingKeys !== undefined && mode !== 'append') {
      errors.push({ field: 'existingKeys', message: 'means something in mode append only' });
    }
    const options = resolveOptions(dataset, request.options ?? {});
    errors.push(...options.problems.map((message) => ({ field: 'options', message })));
    const described = source === undefined ? null : describeOrReport(source, caller, errors);
    if (errors.length > 0 || described === null || source === undefined || mode === undefined)
      throw refused(errors);

    const id = uuidv7();
    try {
      const job: NewJob = {
        id,
        dataset: dataset.name,
        mode,
        source: described,
        secretUri: source,
        dryRun: request.dryRun ?? false,
        limitRecords: request.limit ?? null,
        strict: request.strict ?? dataset.strict ?? false,
        maxRefusedShare: request.maxRefusedShare ?? dataset.maxRefusedShare,
        maxShrinkShare: mayShrink(request) ? null : dataset.maxShrinkShare,
        existingKeys: request.existingKeys ?? 'supersede',
        breaker: breakerOf(request, dataset),
        options: options.values,
        contractVersion: dataset.contractVersion,
      };
      await this.jobs.create(job, owner);
    } catch (error) {
      throw activeJobProblem(error);
    }
    return { id, dataset: dataset.name, state: 'queued' };
  }

  private datasetOf(request: JobRequest): Dataset {
    const dataset = this.registry.all().find(({ name }) => name === request.dataset);
    if (dataset) return dataset;
    const known = this.registry.all().map(({ name }) => name);
    throw refused([{ field: 'dataset', message: `unknown; registered are ${known.join(', ')}` }]);
  }
}

/** A trial of the first records is smaller than the table by its nature, and replaces nothing. */
function mayShrink({ allowShrink, dryRun, limit }: JobRequest): boolean {
  return allowShrink === true || (dryRun === true && limit !== undefined);
}

function breakerOf({ breakerShare, breakerCount }: JobRequest, dataset: Dataset): Breaker {
  return {
    ...(dataset.breaker ?? DEFAULT_BREAKER),
    ...(breakerShare === undefined ? {} : { maxShare: breakerShare }),
    ...(breakerCount === undefined ? {} : { maxCount: breakerCount }),
  };
}

function describeOrReport(source: string, caller: Caller, errors: FieldError[]): JobSource | null {
  try {
    return SOURCE_KINDS.describe(source, caller);
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    errors.push({ field: 'source', message: error.message });
    return null;
  }
}

function refused(errors: readonly FieldError[]): ProblemError {
  const detail = errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
  return new ProblemError('REQUEST_INVALID', detail, 422, { errors });
}
