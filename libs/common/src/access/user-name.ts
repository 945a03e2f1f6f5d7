import { userInfo } from 'node:os';
import { plainText } from '../text/plain-text.js';

/** Of the user of this machine who runs the process. */
export function userName(): string {
  try {
    return plainText(userInfo().username).slice(0, 100) || 'unknown';
  } catch {
    // A user id without a name, as in containers.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
