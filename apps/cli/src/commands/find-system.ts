import { readFile } from 'node:fs/promises';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { CliConfig } from '../cli.config.js';
import type { SystemAddresses } from '../service-connection.js';
import { ContextStore, LOCAL_CONTEXT, type StoredContext, contextIn } from '../contexts/context-store.js';
import type { LocalSystem } from '#local/local-system.js';

/**
 * The system that a command talks to: the context that it names (`--context`, `SLUICE_CONTEXT`), else the addresses that the
 * environment names, else the context of `sluice use`, else the system that `sluice up` started here.
 * @throws SluiceError SYSTEM_UNREACHABLE when there is none; USAGE_INVALID for a context that there is not
 */
export async function findSystem(settings: CliConfig, local: LocalSystem): Promise<SystemAddresses> {
  const chosen = await chosenContext(settings);
  if (chosen !== null) {
    const { ingestorUrl, trackerUrl, token, insecureHttp, caFile } = chosen.context;
    return { ingestorUrl, trackerUrl, accessToken: token, insecureHttp, caFile };
  }
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
    caFile: settings.caFile === '' ? undefined : settings.caFile,
  };
}

/**
 * @returns the stored context that commands go to; null where they go to the environment's or the checkout's system
 * @throws SluiceError USAGE_INVALID for a context that there is not; SETTING_INVALID
 */
export async function chosenContext(
  settings: CliConfig,
): Promise<{ readonly name: string; readonly context: StoredContext } | null> {
  const { context: named, ingestorUrl, trackerUrl } = settings;
  const isInEnvironment = ingestorUrl !== undefined || trackerUrl !== undefined;
  if (named === LOCAL_CONTEXT || (named === '' && isInEnvironment)) return null;
  const stored = await new ContextStore(settings.configHome).read();
  const name = named === '' ? stored.current : named;
  return name === null ? null : { name, context: contextIn(stored, name) };
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
