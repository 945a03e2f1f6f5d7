import { isAbsolute } from 'node:path';
import { IsString } from '#common/validation/class-validator.js';
import { type CrossChecked, Variable } from '#common/config/environment.js';

/** Which files the ingestor may read. */
export class FileConfig implements CrossChecked {
  @Variable(
    'SLUICE_SOURCE_FOLDERS',
    'Folders that file sources may come from, separated by colons; none by default',
  )
  @IsString()
  sourceFolders: string = '';

  /** Absolute paths. */
  folders(): string[] {
    return this.sourceFolders.split(':').filter((folder) => folder !== '');
  }

  crossCheck(): readonly string[] {
    const problems: string[] = [];
    if (!this.folders().every((folder) => isAbsolute(folder))) {
      problems.push('SLUICE_SOURCE_FOLDERS must hold absolute paths');
    }
    if (this.folders().includes('/'))
      problems.push('SLUICE_SOURCE_FOLDERS must not open the whole file system');
    return problems;
  }
}
