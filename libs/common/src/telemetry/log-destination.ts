import { writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

/**
 * Where a process' log lines go: a file that may be on a full disk, or a pipe whose reader has gone or sleeps.
 *
 * pino's own destination ends the process on the first such fault (an `error` event without a listener), and waits in it
 * without an end when a line is `fatal` (it flushes until the disk takes it).
 *
 * - LG1: No fault of the destination ends the process, blocks it for longer than {@link MOST_WAITING_MS}, or is thrown
 *   by a call that logs.
 * - LG2: What cannot be written is kept up to {@link MAX_KEPT_BYTES}; a line that does not fit is dropped, and counted.
 * - LG3: Each line is another attempt, so lines resume when the destination does; `onRecovered` then gets what was lost.
 * - LG4: Lines are written whole and in order: what was begun before a fault is finished after it.
 */
const MAX_KEPT_BYTES = 64 * 1024;
/** For a full pipe, whose reader may only be slow. */
const MOST_WAITING_MS = 1_000;
const WAIT_MS = 10;

export interface LogLosses {
  /** Lines that were dropped since the process started. */
  readonly droppedLines: number;
  /** Code of the fault that keeps lines from being written now; null while they are. */
  readonly fault: string | null;
}

export interface LogDestination extends DestinationStream {
  readonly losses: () => LogLosses;
  /** Hears once for each fault that has passed how many lines were dropped during it. */
  onRecovered: (droppedLines: number) => void;
}

/** @param fd 1 is standard output */
export function logDestination(fd: number): LogDestination {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let dropped = 0;
  let droppedBefore = 0;
  let fault: string | null = null;

  const drain = (): void => {
    let waitedMs = fault === null ? 0 : MOST_WAITING_MS;
    while (kept[0] !== undefined) {
      try {
        const count = writeSync(fd, kept[0]);
        keptBytes -= count;
        if (count === kept[0].length) kept.shift();
        else kept[0] = kept[0].subarray(count);
      } catch (error) {
        const { code = 'UNKNOWN' } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN' && waitedMs < MOST_WAITING_MS) {
          waitedMs += WAIT_MS;
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
          continue;
        }
        fault = code;
        return;
      }
    }
    kept = [];
    if (fault === null) return;
    fault = null;
    const lost = dropped - droppedBefore;
    droppedBefore = dropped;
    // Not from within the write: the line that succeeds is still being dealt with.
    setImmediate(() => {
      result.onRecovered(lost);
    });
  };

  const result: LogDestination = {
    write: (line) => {
      const bytes = Buffer.from(line);
      const fits = keptBytes === 0 || keptBytes + bytes.length <= MAX_KEPT_BYTES;
      if (fits) {
        kept.push(bytes);
        keptBytes += bytes.length;
      }
      drain();
      if (fits) return;
      if (fault === null) result.write(line);
      else dropped++;
    },
    losses: () => ({ droppedLines: dropped, fault }),
    onRecovered: () => undefined,
  };
  return result;
}

/** The one log of this process. Its other output (warnings of Node, a crash) must not end it either. */
let standard: LogDestination | undefined;

export function standardLog(): LogDestination {
  if (standard === undefined) {
    standard = logDestination(1);
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  }
  return standard;
}
