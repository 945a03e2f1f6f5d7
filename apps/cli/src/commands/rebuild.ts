import { unset } from '#common/config/environment.js';
import { KafkaSecurityConfig } from '#common/config/kafka-security.config.js';
import { type ErrorPlace, SluiceError } from '#common/errors/sluice-error.js';
import { type Exit, knownErrorCode } from '../exit-codes.js';
import { successJson } from '../render/envelope.js';
import { counted } from '../render/format.js';
import { type CliContext, write } from './context.js';
import { knownServers } from './known-servers.js';

export interface RebuildOptions {
  readonly json?: boolean;
}

/** What the rebuild of the tracker prints when it has succeeded. */
interface Rebuilt {
  readonly jobs: number;
  readonly actions: number;
  readonly decisions: number;
  readonly unreadable: number;
}

interface Refused {
  readonly error: { readonly code: string; readonly message: string; readonly place: ErrorPlace };
}

/**
 * `sluice rebuild`: what the tracker shows, and what a lost database had besides its tables, again from ledger and topics
 * (docs/rebuild.md). On the servers that `sluice migrate` would take, with the settings of the tracker.
 */
export async function rebuild(context: CliContext, { json }: RebuildOptions): Promise<Exit> {
  const { databaseUrl, brokers, isOwnKafka } = await knownServers(context);
  const { code, stdout, stderr } = await context.local.rebuild({
    ...(isOwnKafka ? unset(KafkaSecurityConfig) : {}),
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: brokers,
  });
  const answer = answerIn(stdout);
  if (answer !== null && 'error' in answer) {
    const { error } = answer;
    throw new SluiceError(knownErrorCode(error.code), error.message, error.place);
  }
  if (code !== 0 || answer === null)
    throw new SluiceError(
      'INTERNAL',
      `The rebuild ended with code ${code ?? '?'}: ${stderr.trim().slice(-1_500)}`,
    );
  if (answer.unreadable > 0)
    context.stderr.write(
      `warning: ${counted(answer.unreadable, 'message')} of sluice.history cannot be read.\n`,
    );
  await write(context.stdout, json === true ? successJson(answer) : rebuiltText(answer));
  return 'success';
}

/** @returns null when the process has printed something else, or nothing */
function answerIn(stdout: string): Rebuilt | Refused | null {
  try {
    return JSON.parse(stdout) as Rebuilt | Refused;
  } catch {
    return null;
  }
}

function rebuiltText({ jobs, actions, decisions }: Rebuilt): string {
  const lost =
    jobs + actions + decisions === 0
      ? 'Nothing that sluice.history holds was missing.\n'
      : `Back from sluice.history: ${counted(jobs, 'job')}, ${counted(actions, 'repair action')}, ${counted(decisions, 'decision')} about dead letters.\n`;
  return `${lost}Start the services: the tracker reads its topics from the beginning, and shows more and more until it has read them.\n`;
}
