import type { DeadLetterView } from '#api/dead-letters.js';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import { isFinal } from '#core/job/job-state.js';
import { SluiceClient } from '../../apps/cli/src/client.js';
import { eventually } from './eventually.js';
import type { System } from './system.js';

/** The HTTP API of a running system, as a trusted caller on the same machine. */
export function clientOf(system: System): SluiceClient {
  return new SluiceClient(system);
}

/** Starts a job and waits until it has ended and the tracker knows every refused record of it. */
export async function runJob(system: System, request: JobRequest): Promise<JobDetail> {
  await leaveStaleConnections(system.ingestorUrl);
  const { id } = await clientOf(system).startJob(request);
  return jobEnd(system, id);
}

/** Making a file blocks the event loop, so idle connections that the server has closed meanwhile are only found out now. */
export async function leaveStaleConnections(url: string): Promise<void> {
  await eventually(async () => (await fetch(`${url}/health/live`).catch(() => null))?.ok, `${url} to answer`);
}

export async function jobEnd(system: System, id: string): Promise<JobDetail> {
  return eventually(
    async () => {
      const job = await clientOf(system).job(id);
      return isFinal(job.state) && job.deadLetters.complete && job;
    },
    `the end of job ${id}`,
    240_000,
  );
}

export async function lettersOf(system: System, job: string): Promise<DeadLetterView[]> {
  const letters: DeadLetterView[] = [];
  for await (const letter of clientOf(system).deadLetters({ job })) letters.push(letter);
  return letters;
}

/** Sum of a counter of one service, over all labels that hold every given one. */
export async function counter(system: System, service: string, name: string, label = ''): Promise<number> {
  const text = await (await fetch(`${system.urlOf(service)}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
