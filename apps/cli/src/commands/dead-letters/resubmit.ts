import type { DeadLettersResubmitted, ResubmitDeadLetters } from '#api/dead-letters.js';
import type { JobDetail } from '#api/jobs.js';
import { plainText } from '#common/text/plain-text.js';
import type { SluiceClient } from '../../client.js';
import { type Exit, exitOfJob } from '../../exit-codes.js';
import { successJson } from '../../render/envelope.js';
import { counted, formatCount } from '../../render/format.js';
import { PROGRAM } from '../../render/program-name.js';
import { progressOn } from '../../render/progress.js';
import { runJson } from '../../render/run-json.js';
import { confirm } from '../confirm.js';
import { type CliContext, interruptible, write } from '../context.js';
import { followJob } from '../follow-job.js';
import { shortId } from '../job-id.js';
import { jobText } from '../report-job.js';
import type { ActionOptions } from './action-options.js';
import { userName } from '#common/access/user-name.js';
import { chosenBy } from './choose.js';

/** `dead-letters resubmit`: sends records again, as they are or as they were corrected. */
export async function resubmit(
  context: CliContext,
  client: SluiceClient,
  ids: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const { reason, dryRun = false, force = false, wait = false, json = false } = options;
  const chosen = await chosenBy(context, client, ids, options);
  const request: ResubmitDeadLetters = {
    ...chosen,
    ...(reason === undefined ? {} : { reason }),
    ...(force ? { force } : {}),
    by: userName(),
  };
  const answer = dryRun
    ? await client.resubmitDeadLetters({ ...request, dryRun })
    : await confirmed(context, client, request, options);
  if (!wait || answer.jobs.length === 0) {
    await write(context.stdout, json ? successJson(answer) : resubmittedText(answer));
    return 'success';
  }
  return interruptible(context, (signal) => waitForJobs(context, client, answer, signal, json));
}

/** Named one by one they are meant; of a group or a filter the number is shown first. */
async function confirmed(
  context: CliContext,
  client: SluiceClient,
  request: ResubmitDeadLetters,
  { yes = false }: ActionOptions,
): Promise<DeadLettersResubmitted> {
  if (!yes && request.ids === undefined) {
    const { resubmitted } = await client.resubmitDeadLetters({ ...request, dryRun: true });
    const what = `${counted(resubmitted, 'refused record')} would be resubmitted`;
    await interruptible(context, (signal) =>
      confirm(
        context,
        { question: `${what}. `, withoutTerminal: `${what}; confirm with --yes, or look with --dry-run.` },
        signal,
      ),
    );
  }
  return client.resubmitDeadLetters(request);
}

/** What a resubmission has done, or would do, for people. PURE. */
export function resubmittedText({
  dryRun,
  resubmitted,
  jobs,
  notSent,
  decided,
  unknown,
}: DeadLettersResubmitted): string {
  const done = dryRun ? 'would be resubmitted' : resubmitted === 1 ? 'is resubmitted' : 'are resubmitted';
  return [
    `${counted(resubmitted, 'refused record')} ${done}.\n`,
    ...jobs.map(
      ({ id, dataset, records }) =>
        `Job ${shortId(id)} of ${plainText(dataset)} loads ${counted(records, 'record')}: ${PROGRAM} watch ${shortId(id)}\n`,
    ),
    ...notSent.map(
      ({ reason, message, count, example }) =>
        `${counted(count, 'refused record')} ${dryRun ? 'would not be' : count === 1 ? 'is not' : 'are not'} sent [${plainText(reason)}]: ${plainText(message)}, as ${plainText(example)}.\n`,
    ),
    resubmitted === 0 && notSent.length === 0 && unknown.length === 0 ? 'No such record is open.\n' : '',
    decided === 0 ? '' : `${counted(decided, 'refused record')} had been decided about before.\n`,
    ...unknown.map((id) => `No dead letter has the id ${id}.\n`),
  ].join('');
}

/** The end of each job in turn; with the worst of their ends. Ctrl-C detaches. */
async function waitForJobs(
  context: CliContext,
  client: SluiceClient,
  answer: DeadLettersResubmitted,
  signal: AbortSignal,
  json: boolean,
): Promise<Exit> {
  if (!json) await write(context.stdout, resubmittedText(answer));
  const ended: JobDetail[] = [];
  for (const { id } of answer.jobs) {
    const progress = progressOn(context.stderr, context.now, json);
    const { job, detached } = await followJob(client, id, progress, signal, context.waiting).finally(() => {
      progress.stop();
    });
    ended.push(job);
    if (detached) {
      if (!json) await write(context.stdout, `The job continues. Follow it again: ${PROGRAM} watch ${id}\n`);
      break;
    }
    if (!json) await write(context.stdout, (await jobText(context, client, job)) + outcomeText(job));
  }
  if (json) await write(context.stdout, successJson({ ...answer, ended: ended.map((job) => runJson(job)) }));
  return signal.aborted ? 'detached' : (ended.map(exitOfJob).find((exit) => exit !== 'success') ?? 'success');
}

function outcomeText({ counts }: JobDetail): string {
  if (counts === null || counts.refused === 0) return '';
  return `${formatCount(counts.refused)} of ${formatCount(counts.read)} were refused again; each is a new dead letter.\n`;
}
