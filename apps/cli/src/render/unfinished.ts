import { STAGES } from '#api/job-words.js';
import type { JobDetail } from '#api/jobs.js';
import { nextSteps, stateWords, validatedText } from './job-state.js';
import { PROGRAM } from './program-name.js';
import { stageLine } from './stage-line.js';

/** A job that has not ended, for people: its state, how far each stage is, and what an operator can do. PURE. */
export function renderUnfinished(job: JobDetail): string {
  const stages = STAGES.map((stage) => `  ${stageLine(job, stage)}\n`).join('');
  const steps = nextSteps(job);
  const usual = `To follow it, or to cancel it:\n  ${PROGRAM} watch ${job.id}\n  ${PROGRAM} cancel ${job.id}\n`;
  const what = `${job.dataset}, ${job.mode}${job.dryRun ? ', dry run' : ''}`;
  return `Job ${job.id} (${what}) is ${stateWords(job)}.\n${validatedText(job)}${stages}${steps === '' ? usual : steps}`;
}
