import { timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';

/**
 * Distinguishes callers on this machine from others: a caller that can read the token's file (mode 0600) is the user
 * that Sluice runs as. Without a file no caller is trusted.
 */
export class LocalToken {
  private constructor(private readonly token: Buffer | null) {}

  static fromFile(path: string): LocalToken {
    if (path === '') return new LocalToken(null);
    const token = readFileSync(path, 'utf8').trim();
    return new LocalToken(token === '' ? null : Buffer.from(token));
  }

  isProvedBy(authorization: string | undefined): boolean {
    if (this.token === null || !authorization?.startsWith('Bearer ')) return false;
    const given = Buffer.from(authorization.slice('Bearer '.length));
    return given.length === this.token.length && timingSafeEqual(given, this.token);
  }
}
