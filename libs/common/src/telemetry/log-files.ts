import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DestinationStream } from 'pino';
import { SluiceError, messageOf } from '../errors/sluice-error.js';

/**
 * The log of a service in files, besides its standard output: `<service>.N.log` with every line, `<service>-errors.N.log`
 * with `error` and `fatal` alone. A file that has reached its size is closed, and the next number begins.
 *
 * - LF1: No fault of a file ends the process, blocks it, or is thrown by a call that logs: standard output has the line.
 * - LF2: What a full disk does not take is kept up to {@link MAX_KEPT_BYTES}; a line that does not fit is dropped from the
 *   file. `onFault` is called once for a fault, and again after lines have been written in between.
 * - LF3: At most `files` files of each kind stay, those of earlier processes included.
 * - LF4: A line is in its file when the call that logs it returns, so the last words of a process are there.
 */
const MAX_KEPT_BYTES = 64 * 1024;

export interface LogFileSettings {
  /** Empty: no files. Several processes of one service need a folder each. */
  readonly folder: string;
  /** A file that has reached this size is followed by the next one. */
  readonly maxFileBytes: number;
  /** Files of each kind that are kept, the one that is written included. */
  readonly files: number;
}

export interface LogFiles {
  readonly all: DestinationStream;
  readonly errors: DestinationStream;
}

/**
 * @param onFault called with what keeps lines from a file, once for each fault
 * @throws SluiceError SETTING_INVALID when nothing can be written in the folder
 */
export async function openLogFiles(
  service: string,
  settings: LogFileSettings,
  onFault: (error: Error) => void,
): Promise<LogFiles> {
  try {
    mkdirSync(settings.folder, { recursive: true });
    accessSync(settings.folder, constants.W_OK);
  } catch (error) {
    throw new SluiceError(
      'SETTING_INVALID',
      `Settings are wrong: SLUICE_LOG_FOLDER must name a folder that can be written (${messageOf(error)}).`,
    );
  }
  return {
    all: await rollingFile(service, settings, onFault),
    errors: await rollingFile(`${service}-errors`, settings, onFault),
  };
}

async function rollingFile(
  name: string,
  { folder, maxFileBytes, files }: LogFileSettings,
  onFault: (error: Error) => void,
): Promise<DestinationStream> {
  // With date-fns it has three hundred files, and most processes write no log file.
  const { default: buildRoll } = await import('pino-roll');
  const file = await buildRoll({
    file: join(folder, name),
    extension: '.log',
    size: `${maxFileBytes}b`,
    limit: { count: files, removeOtherLogFiles: true },
    sync: true,
    mode: 0o600,
    maxLength: MAX_KEPT_BYTES,
  });
  let isAway = false;
  file.on('error', (error: Error) => {
    if (isAway) return;
    isAway = true;
    // Not from within the write: the warning is a line as well.
    setImmediate(onFault, error);
  });
  file.on('write', () => {
    isAway = false;
  });
  // Without pino's flushSync, which waits for a full disk without an end when a line is fatal.
  return { write: (line) => void file.write(line) };
}
