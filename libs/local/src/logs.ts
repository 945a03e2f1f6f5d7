import { closeSync, existsSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StringDecoder } from 'node:string_decoder';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { LogOptions } from './local-system.js';
import type { LocalFolder } from './folders.js';

/** How much of what was written before is shown. */
const TAIL_BYTES = 64 * 1024;
const POLL_MS = 250;

/**
 * Writes the last lines of one log or of all (then each line with its process' name), and with `follow` what
 * comes, until the signal is aborted.
 * @throws SluiceError USAGE_INVALID for a name that has no log
 */
export async function showLogs(folder: LocalFolder, options: LogOptions): Promise<void> {
  const { service, follow, output, signal } = options;
  const names = logNames(folder);
  if (service !== undefined && !names.includes(service)) {
    const known = names.length === 0 ? 'there is none yet' : `there are ${names.join(', ')}`;
    throw new SluiceError('USAGE_INVALID', `There is no log of ${service}; ${known}.`);
  }
  const shown = service === undefined ? names : [service];
  const width = Math.max(0, ...shown.map((name) => name.length));
  const prefixOf = (name: string): string => (service === undefined ? `${name.padEnd(width)} | ` : '');
  const readers = new Map(shown.map((name) => [name, new LogReader(folder.logOf(name), TAIL_BYTES)]));
  for (;;) {
    if (service === undefined && follow) {
      for (const name of logNames(folder)) {
        if (!readers.has(name)) readers.set(name, new LogReader(folder.logOf(name), TAIL_BYTES));
      }
    }
    for (const [name, reader] of readers) {
      for (const line of reader.lines()) {
        if (!output.write(`${prefixOf(name)}${line}\n`)) await drained(output, signal);
      }
    }
    if (!follow || signal.aborted) return;
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

function logNames(folder: LocalFolder): string[] {
  const logs = dirname(folder.logOf('any'));
  if (!existsSync(logs)) return [];
  return readdirSync(logs)
    .filter((name) => name.endsWith('.log') && statSync(join(logs, name)).isFile())
    .map((name) => name.slice(0, -'.log'.length))
    .sort();
}

async function drained(output: NodeJS.WritableStream, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      output.removeListener('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    output.once('drain', done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

/** Resumes where it stopped, or at the start of a file that was cut (log-file.ts). */
export class LogReader {
  private position: number;
  private rest = '';
  private decoder = new StringDecoder('utf8');
  private skipsFirst: boolean;

  constructor(
    private readonly file: string,
    tailBytes: number,
  ) {
    const size = this.size();
    this.position = Math.max(0, size - tailBytes);
    this.skipsFirst = this.position > 0;
  }

  /** Whole lines that were written since the last call. */
  lines(): string[] {
    const size = this.size();
    if (size < this.position) {
      this.position = 0;
      this.rest = '';
      this.decoder = new StringDecoder('utf8');
    }
    const text = this.rest + this.decoder.write(this.read(size));
    const lines = text.split('\n');
    this.rest = lines.pop() ?? '';
    if (this.skipsFirst && lines.length > 0) {
      this.skipsFirst = false;
      lines.shift();
    }
    return lines;
  }

  private size(): number {
    return statSync(this.file, { throwIfNoEntry: false })?.size ?? 0;
  }

  private read(end: number): Buffer {
    const buffer = Buffer.alloc(Math.max(0, end - this.position));
    if (buffer.length === 0) return buffer;
    const descriptor = openSync(this.file, 'r');
    try {
      const count = readSync(descriptor, buffer, 0, buffer.length, this.position);
      this.position += count;
      return buffer.subarray(0, count);
    } finally {
      closeSync(descriptor);
    }
  }
}
