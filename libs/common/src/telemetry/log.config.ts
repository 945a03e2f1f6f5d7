import { IsInt, IsString, Max, Min } from '../validation/class-validator.js';
import { Variable } from '../config/environment.js';
import type { LogFileSettings } from './log-files.js';

/** Files of the log, besides standard output. */
export class LogConfig {
  @Variable(
    'SLUICE_LOG_FOLDER',
    'Folder for log files besides standard output: all lines, and errors alone; each process needs its own',
  )
  @IsString()
  folder: string = '';

  @Variable('SLUICE_LOG_FILE_BYTES', 'A log file that has reached this size is followed by the next one')
  @IsInt()
  @Min(1024)
  @Max(1024 ** 3)
  maxFileBytes: number = 16 * 1024 * 1024;

  @Variable('SLUICE_LOG_FILES', 'Log files of each kind that are kept')
  @IsInt()
  @Min(2)
  @Max(1000)
  files: number = 5;

  /** Undefined without a folder: standard output alone. */
  logFiles(): LogFileSettings | undefined {
    return this.folder === '' ? undefined : this;
  }
}
