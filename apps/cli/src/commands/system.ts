import type { Exit } from '../exit-codes.js';
import { plainText } from '#common/text/plain-text.js';
import { PROGRAM } from '../render/program-name.js';
import { renderTable } from '../render/table.js';
import { otherBuild, warn } from './other-build.js';
import { type CliContext, interruptible, paintOf, write } from './context.js';
import type { LocalState, Say } from '#local/local-system.js';

/** The commands that start, stop and look at the system of this checkout. */

export async function up(context: CliContext, options: { readonly foreground?: boolean }): Promise<Exit> {
  return interruptible(context, async (signal) => {
    const foreground = options.foreground === true;
    const state = await context.local.up({ foreground, say: sayOn(context), signal });
    if (foreground) return 'success';
    if (signal.aborted) {
      sayOn(context)(
        `Sluice continues to start. See \`${PROGRAM} status\`; stop it with \`${PROGRAM} down\`.`,
      );
      return 'detached';
    }
    await write(context.stdout, addressesText(state));
    const { troubles } = await context.local.status();
    warn(context, [...troubles, ...otherBuild(context.build, state.builds)]);
    return 'success';
  });
}

/** `down`, then `up`: what was built since comes into effect; data and addresses stay. */
export async function restart(context: CliContext): Promise<Exit> {
  await context.local.down(sayOn(context));
  return up(context, {});
}

/** Where everything is, and what to do next. */
export function addressesText(state: LocalState): string {
  return (
    `Sluice is running.\n` +
    `  ingestor  ${state.ingestorUrl}\n  tracker   ${state.trackerUrl}\n  Kafka     ${state.kafkaBrokers}\n` +
    `  for psql and Kafka's tools: eval "$(${PROGRAM} env)"\n  to stop it: ${PROGRAM} down\n`
  );
}

export function sayOn(context: CliContext): Say {
  return (line) => {
    context.stderr.write(`${line}\n`);
  };
}

export async function down(context: CliContext): Promise<Exit> {
  const stopped = await context.local.down(sayOn(context));
  await write(
    context.stdout,
    stopped ? 'Sluice is stopped.\n' : 'Sluice was not running in this checkout.\n',
  );
  return 'success';
}

/** Exit code 0 only when everything that belongs to the system is ready, else 4, so that scripts can ask. */
export async function status(context: CliContext): Promise<Exit> {
  const { processes, isReady, troubles } = await context.local.status();
  if (processes.length === 0) {
    await write(context.stdout, `Sluice is not running in this checkout. Start it: ${PROGRAM} up\n`);
    return 'notReachable';
  }
  const text = renderTable(processes, [
    { title: 'process', value: ({ name }) => name },
    { title: 'state', value: ({ state }) => state },
    { title: 'pid', value: ({ pid }) => (pid === null ? '–' : String(pid)), align: 'right' },
    { title: 'address', value: ({ address }) => address ?? '–' },
  ]);
  const { builds = [] } = (await context.local.state()) ?? {};
  const lines = [...troubles, ...otherBuild(context.build, builds)].map((line) => `${plainText(line)}\n`);
  await write(context.stdout, lines.length === 0 ? text : `${text}\n${lines.join('')}`);
  return isReady ? 'success' : 'notReachable';
}

export async function doctor(context: CliContext): Promise<Exit> {
  const paint = paintOf(context);
  const requirements = await context.local.doctor();
  for (const { name, ok, detail, action } of requirements) {
    const mark = ok ? paint('green', 'ok  ') : paint('red', 'FAIL');
    const advice = ok || action === null ? '' : `      ${plainText(action)}\n`;
    await write(context.stdout, `${mark}  ${name}: ${plainText(detail)}\n${advice}`);
  }
  return requirements.every(({ ok }) => ok) ? 'success' : 'findings';
}

export async function logs(
  context: CliContext,
  service: string | undefined,
  options: { readonly follow?: boolean },
): Promise<Exit> {
  return interruptible<Exit>(context, async (signal) => {
    await context.local.logs({ service, follow: options.follow === true, output: context.stdout, signal });
    return 'success';
  });
}
