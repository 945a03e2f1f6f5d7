import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';

/** One system that `sluice login` has stored. */
export interface StoredContext {
  /** Without a slash at the end. */
  readonly ingestorUrl: string;
  readonly trackerUrl: string;
  /** Sent to these two addresses only. */
  readonly token: string;
  /** The token may travel unencrypted: said at the login. */
  readonly insecureHttp?: boolean;
  /** An absolute path: authorities that the system's certificate may come from, in place of those that Node.js trusts. */
  readonly caFile?: string;
}

export interface StoredContexts {
  /** Where commands go that name no context; null: the system of the checkout. */
  readonly current: string | null;
  readonly contexts: Readonly<Record<string, StoredContext>>;
}

/** Means the system of the checkout, or of the environment; no stored context can have it. */
export const LOCAL_CONTEXT = 'local';
export const CONTEXT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const NONE: StoredContexts = { current: null, contexts: {} };

/**
 * What `sluice login` has stored, in the user's folder of settings.
 *
 * - CX1: the file is for its user alone (0600, in a folder of 0700). One that others may read is not used.
 * - CX2: it is replaced whole: a process that ends in the middle leaves the old one.
 */
export class ContextStore {
  private readonly folder: string;
  readonly file: string;

  /** @param configHome `XDG_CONFIG_HOME`; empty: `.config` of the home folder */
  constructor(configHome: string) {
    this.folder = join(configHome === '' ? join(homedir(), '.config') : configHome, 'sluice');
    this.file = join(this.folder, 'contexts.json');
  }

  /** @throws SluiceError SETTING_INVALID for a file that others may read (CX1), or that is not what {@link write} writes */
  async read(): Promise<StoredContexts> {
    let text: string;
    try {
      const { mode } = await stat(this.file);
      if ((mode & 0o077) !== 0)
        throw new SluiceError(
          'SETTING_INVALID',
          `${this.file} holds tokens, and other users may read or write it: chmod 600 it, and revoke its tokens if you do not trust them.`,
        );
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      if (error instanceof SluiceError) throw error;
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return NONE;
      throw new SluiceError('SETTING_INVALID', `${this.file} cannot be read (${messageOf(error)}).`);
    }
    const stored = storedIn(text);
    if (stored !== null) return stored;
    throw new SluiceError(
      'SETTING_INVALID',
      `${this.file} is not what \`sluice login\` writes: remove it, and log in again.`,
    );
  }

  /** @throws SluiceError OUTPUT_UNWRITABLE */
  async write(stored: StoredContexts): Promise<void> {
    const beside = `${this.file}.${process.pid}`;
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await writeFile(beside, `${JSON.stringify(stored, null, 2)}\n`, { mode: 0o600 });
      await rename(beside, this.file);
    } catch (cause) {
      const message = `${this.file} cannot be written (${messageOf(cause)}).`;
      throw new SluiceError('OUTPUT_UNWRITABLE', message, {}, { cause });
    }
  }
}

/** @throws SluiceError USAGE_INVALID when no context has the name */
export function contextIn({ contexts }: StoredContexts, name: string): StoredContext {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  throw new SluiceError(
    'USAGE_INVALID',
    `There is no context "${name}"; \`sluice contexts\` lists them, and \`sluice login\` makes one.`,
  );
}

function storedIn(text: string): StoredContexts | null {
  try {
    const stored = JSON.parse(text) as StoredContexts;
    const isWhole = Object.entries(stored.contexts).every(
      ([name, { ingestorUrl, trackerUrl, token }]) =>
        CONTEXT_NAME.test(name) && URL.canParse(ingestorUrl) && URL.canParse(trackerUrl) && token !== '',
    );
    return isWhole && (stored.current === null || stored.current in stored.contexts) ? stored : null;
  } catch {
    return null;
  }
}
