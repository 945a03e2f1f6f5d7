import { readFile } from 'node:fs/promises';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { CliConfig } from '../cli.config.js';
import type { SystemAddresses } from '../client.js';
import type { LocalSystem } from '#local/local-system.js';

/**
 * The running system: the one that the environment names, else the one that `sluice up` started here.
 * @throws SluiceError SYSTEM_UNREACHABLE when there is neither
 */
export async function findSystem(settings: CliConfig, local: LocalSystem): Promise<SystemAddresses> {
  const running = await local.state();
  const ingestorUrl = settings.ingestorUrl ?? running?.ingestorUrl;
  const trackerUrl = settings.trackerUrl ?? running?.trackerUrl;
  if (ingestorUrl === undefined || trackerUrl === undefined) {
    throw await notRunning(local);
  }
  return {
    ingestorUrl: ingestorUrl.replace(/\/+$/, ''),
    trackerUrl: trackerUrl.replace(/\/+$/, ''),
    accessToken: settings.token,
    token: await readToken(settings.localTokenFile ?? running?.tokenFile),
  };
}

/** Distinguishes a system that was not started from one that is starting, or whose state cannot be read. */
export async function notRunning(local: LocalSystem): Promise<SluiceError> {
  const { troubles } = await local.status();
  const text =
    troubles.length === 0
      ? 'Sluice is not running in this checkout.'
      : `Sluice is running in this checkout, but not ready: ${troubles.join('; ')}.`;
  return new SluiceError('SYSTEM_UNREACHABLE', text);
}

/** Without the token the ingestor still takes addresses, and files of its allowed folders. */
async function readToken(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    return undefined;
  }
}
