import { accessSync, constants, existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SluiceError } from '#common/errors/sluice-error.js';

/** The folder of this checkout: the nearest one upwards whose package.json is Sluice's; the same from `dist`. */
export function checkoutFolder(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string };
      if (name === 'sluice') return realpathSync(folder);
    }
    if (folder === dirname(folder)) {
      throw new SluiceError('INTERNAL', `No package.json of Sluice lies above ${import.meta.dirname}.`);
    }
  }
}

/**
 * Where one local system keeps everything: state, token, logs, data.
 * The folder itself can be entered by others (the user that PostgreSQL runs as when the starter is root);
 * what is secret in it has mode 0600 or 0700.
 */
export class LocalFolder {
  constructor(readonly path: string) {}

  /** The one of this checkout. */
  static ofCheckout(): LocalFolder {
    return new LocalFolder(join(checkoutFolder(), '.sluice'));
  }

  get state(): string {
    return join(this.path, 'state.json');
  }

  get lock(): string {
    return join(this.path, 'supervisor.lock');
  }

  get token(): string {
    return join(this.path, 'token');
  }

  /** What the services of this system sign messages with. */
  get messageKey(): string {
    return join(this.path, 'message-key');
  }

  get kafka(): string {
    return join(this.path, 'kafka');
  }

  get postgres(): string {
    return join(this.path, 'postgres');
  }

  logOf(name: string): string {
    return join(this.path, 'logs', `${name}.log`);
  }

  /** @throws SluiceError REQUIREMENT_MISSING when nothing can be written there */
  make(): this {
    try {
      makeFolders(join(this.path, 'logs'));
      accessSync(this.path, constants.W_OK);
    } catch (cause) {
      const { code = '' } = cause as NodeJS.ErrnoException;
      throw new SluiceError(
        'REQUIREMENT_MISSING',
        `${this.path} cannot be written to (${code}): set SLUICE_LOCAL_FOLDER to a folder that can.`,
        {},
        { cause },
      );
    }
    return this;
  }
}

/**
 * One folder at a time, because Node's own recursive way never returns where the system refuses a folder with ENOENT, as
 * below /proc.
 */
function makeFolders(folder: string): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolders(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o755 });
  } catch (error) {
    // Another process has made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
