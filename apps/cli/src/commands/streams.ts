import { setTimeout as delay } from 'node:timers/promises';
import type { StreamAccepted, StreamHour, StreamStartRequest, StreamView } from '#api/streams.js';
import type { SluiceClient } from '../client.js';
import type { Exit } from '../exit-codes.js';
import { failureJson, errorOf, successJson } from '../render/envelope.js';
import { knownErrorCode } from '../exit-codes.js';
import { PROGRAM } from '../render/program-name.js';
import { STREAM_COLUMNS, STREAM_HOUR_COLUMNS, detailText, streamText } from '../render/stream-text.js';
import { renderTable } from '../render/table.js';
import { type CliContext, connect, interruptible, widthOf, write } from './context.js';

/** The commands about streams. */

export const STREAM_ACTIONS = ['status', 'hours', 'start', 'pause', 'resume', 'drain'] as const;
export type StreamAction = (typeof STREAM_ACTIONS)[number];

export interface StreamOptions extends StreamStartRequest {
  readonly json?: boolean;
  /** With `resume`: continue behind messages that are gone. */
  readonly skipLost?: boolean;
  /** With `hours`: looks back this number of hours. */
  readonly last?: number;
  /** With `drain`: do not wait until it is drained. */
  readonly detach?: boolean;
}

/** `sluice streams`: one line each. */
export async function streams(context: CliContext, options: { readonly json?: boolean }): Promise<Exit> {
  const client = await connect(context);
  const found = await client.streams();
  const text =
    found.length === 0
      ? 'No dataset declares an inbox; see docs/streams.md.\n'
      : renderTable(found, STREAM_COLUMNS, widthOf(context.stdout));
  await write(context.stdout, options.json === true ? `${JSON.stringify(found)}\n` : text);
  return 'success';
}

/** `sluice stream <dataset>`: shows or changes one. */
export async function stream(
  context: CliContext,
  dataset: string,
  action: StreamAction,
  options: StreamOptions,
): Promise<Exit> {
  const client = await connect(context);
  switch (action) {
    case 'status':
      return show(context, await client.stream(dataset), options);
    case 'hours':
      return hours(context, await client.streamHours(dataset, options.last ?? HOURS_SHOWN), dataset, options);
    case 'start':
      return answer(context, await client.startStream(dataset, settingsIn(options)), options);
    case 'pause':
      return answer(context, await client.pauseStream(dataset), options);
    case 'resume': {
      const request = options.skipLost === true ? { skipLost: true } : {};
      return answer(context, await client.resumeStream(dataset, request), options);
    }
    case 'drain': {
      const accepted = await client.drainStream(dataset);
      if (options.detach === true) return answer(context, accepted, options);
      return interruptible(context, (signal) => followDrain(context, client, dataset, signal, options));
    }
  }
}

function settingsIn({ maxRecords, maxBytes, maxMs }: StreamOptions): StreamStartRequest {
  return {
    ...(maxRecords === undefined ? {} : { maxRecords }),
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(maxMs === undefined ? {} : { maxMs }),
  };
}

/** Until everything that was in the inbox is visible, or the stream stands. */
async function followDrain(
  context: CliContext,
  client: SluiceClient,
  dataset: string,
  signal: AbortSignal,
  options: StreamOptions,
): Promise<Exit> {
  for (;;) {
    const view = await client.stream(dataset);
    if (view.state === 'stopped') {
      if (options.json === true) return show(context, view, options);
      await write(context.stdout, `The stream of ${dataset} is drained and stopped.\n`);
      return 'success';
    }
    if (view.state === 'paused') {
      if (options.json === true) {
        const { detail } = view;
        const error = errorOf(
          detail === null ? 'STREAM_TRANSITION_REFUSED' : knownErrorCode(detail.code),
          detail?.message ?? `The stream of ${dataset} was paused while it was drained.`,
        );
        await write(context.stdout, failureJson(error, view));
      }
      context.stderr.write(detailText(view));
      return 'waits';
    }
    await delay(context.waiting.pollMs, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) continue;
    const text = `The stream of ${dataset} continues to drain. Look at it: ${PROGRAM} stream ${dataset}\n`;
    context.stderr.write(text);
    if (options.json === true)
      await write(context.stdout, failureJson(errorOf('DETACHED', text.trim()), view));
    return 'detached';
  }
}

async function show(context: CliContext, view: StreamView, { json }: StreamOptions): Promise<Exit> {
  await write(context.stdout, json === true ? successJson(view) : streamText(view));
  return 'success';
}

const HOURS_SHOWN = 24;

/** What its jobs add up to, the newest hour first. */
async function hours(
  context: CliContext,
  found: readonly StreamHour[],
  dataset: string,
  { json }: StreamOptions,
): Promise<Exit> {
  const text =
    found.length === 0
      ? `No job of the stream of ${dataset} has succeeded in these hours.\n`
      : renderTable(found, STREAM_HOUR_COLUMNS, widthOf(context.stdout));
  await write(context.stdout, json === true ? `${JSON.stringify(found)}\n` : text);
  return 'success';
}

async function answer(context: CliContext, accepted: StreamAccepted, { json }: StreamOptions): Promise<Exit> {
  const text = `The stream of ${accepted.dataset} is ${accepted.state}.\n`;
  await write(context.stdout, json === true ? successJson(accepted) : text);
  return 'success';
}
