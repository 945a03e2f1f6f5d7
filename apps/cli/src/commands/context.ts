import type { CliConfig } from '../cli.config.js';
import { SluiceClient } from '../client.js';
import type { LocalSystem } from '#local/local-system.js';
import { findSystem } from './find-system.js';
import type { Waiting } from './follow-job.js';
import { paintFor, type Paint } from '../render/paint.js';

/** Everything outside that a command touches; a test brings its own. */
export interface CliContext {
  readonly version: string;
  /** Of which build the command line is; null when it does not run from one. */
  readonly build: string | null;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Relative file names are meant from here. */
  readonly cwd: string;
  readonly settings: () => CliConfig;
  readonly local: LocalSystem;
  readonly waiting: Waiting;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Calls `handler` at the next Ctrl-C (once); the second one ends the process as usual. @returns how to stop that */
  readonly onInterrupt: (handler: () => void) => () => void;
}

/** @throws SluiceError SYSTEM_UNREACHABLE when no running system is known */
export async function connect(context: CliContext): Promise<SluiceClient> {
  return new SluiceClient(await findSystem(context.settings(), context.local));
}

export function paintOf(context: CliContext, stream: 'stdout' | 'stderr' = 'stdout'): Paint {
  return paintFor(context[stream], context.settings().noColor !== '');
}

/** Runs `work` with a signal that Ctrl-C aborts. */
export async function interruptible<T>(
  context: CliContext,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const forget = context.onInterrupt(() => {
    controller.abort();
  });
  try {
    return await work(controller.signal);
  } finally {
    forget();
  }
}

/** Of a terminal; elsewhere nothing is shortened. */
export function widthOf(stream: CliContext['stdout']): number | undefined {
  const { isTTY, columns = 0 } = stream;
  // Some terminals say 0 because they do not know.
  return isTTY === true && columns > 0 ? columns : undefined;
}

/** Writes and waits while the reader is slow, so that a long list never gathers in memory. */
export async function write(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (!stream.write(text)) await new Promise<void>((resolve) => stream.once('drain', resolve));
}
