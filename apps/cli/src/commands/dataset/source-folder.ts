import { join, sep } from 'node:path';
import { checkoutFolder } from '#local/folders.js';

/** Where the sources of a folder of `dist` stand; an outside folder is its own source. */
export function sourceFolder(folder: string): string {
  const checkout = checkoutFolder();
  const dist = join(checkout, 'dist') + sep;
  return folder.startsWith(dist) ? join(checkout, folder.slice(dist.length)) : folder;
}
