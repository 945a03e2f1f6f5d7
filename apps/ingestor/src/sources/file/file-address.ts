import { isAbsolute } from 'node:path';
import { SluiceError } from '#common/errors/sluice-error.js';
import { pathOfFileUrl } from '#core/source/file-url.js';
import { printable } from '../display.js';
import type { SourceAddress } from '../source-kind.js';

/** An absolute path of the machine that the ingestor runs on. It holds no credentials. */
export interface FileAddress extends SourceAddress {
  readonly path: string;
}

/**
 * Understands `file:///…` and absolute paths.
 * @throws SluiceError SOURCE_UNSUPPORTED
 */
export function parseFileAddress(text: string): FileAddress {
  const found = isAbsolute(text) ? { path: text } : pathOfFileUrl(text);
  if ('fault' in found) throw unsupported(FAULTS[found.fault]);
  if (found.path.includes('\0')) throw unsupported('The path of the source contains a NUL character.');
  return { display: printable(found.path), path: found.path };
}

const FAULTS = {
  relative: 'The source is a file URL with a relative path; use file:///absolute/path.',
  elsewhere: 'The source is a file URL with another host or an encoded slash; use file:///absolute/path.',
} as const;

function unsupported(message: string): SluiceError {
  return new SluiceError('SOURCE_UNSUPPORTED', message);
}
