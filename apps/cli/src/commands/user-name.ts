import { userInfo } from 'node:os';
import { plainText } from '#common/text/plain-text.js';

/** For the audit; there is no login. */
export function userName(): string {
  try {
    return plainText(userInfo().username).slice(0, 100) || 'unknown';
  } catch {
    // A user id without a name, as in containers.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
