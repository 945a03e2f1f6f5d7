import { fileURLToPath } from 'node:url';

/**
 * Which texts name a file by URL, and which file. The command line makes absolute paths of what its user wrote, the
 * ingestor's kind `file` opens them: both go by this.
 */

/** The path that a file URL stands for, or why it stands for none: it is relative, or names another host. */
export type FileUrlPath = { readonly path: string } | { readonly fault: 'relative' | 'elsewhere' };

/** Whether a text is meant as a file URL, right or wrong. */
export function isFileUrl(text: string): boolean {
  return /^file:/i.test(text);
}

/** Whether a text begins as an address with any scheme does (`scheme://`); everything else is a path. */
export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text);
}

/** @param url a text that is meant as a file URL; an encoded slash in it counts as `elsewhere` */
export function pathOfFileUrl(url: string): FileUrlPath {
  // The parser makes `/y.csv` of `file:y.csv`, which is another file than the one that was meant.
  if (!/^\s*file:\//i.test(url)) return { fault: 'relative' };
  try {
    return { path: fileURLToPath(url) };
  } catch {
    return { fault: 'elsewhere' };
  }
}
