import { readFile } from 'node:fs/promises';
import { isLoopbackHost, isSafeForSecrets } from '#common/access/loopback.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';

/** Where a running system listens, without a slash at the end, and how its caller is known there. */
export interface SystemAddresses {
  readonly ingestorUrl: string;
  readonly trackerUrl: string;
  /** Proves a caller on the same machine to the ingestor; undefined when there is none. */
  readonly token?: string | undefined;
  /** Names its holder to both services; undefined where they ask for none. */
  readonly accessToken?: string | undefined;
  /** Also to other machines by plain HTTP. */
  readonly insecureHttp?: boolean | undefined;
  /** Authorities that the certificates may come from, in place of those that Node.js trusts. */
  readonly caFile?: string | undefined;
}

/**
 * Sends the requests of the command line to the two services.
 *
 * - CN1: a token goes to the addresses that it was given with, and no further: a redirect is not followed with one.
 * - CN2: a token does not travel unencrypted beyond this machine, unless the caller said that it may.
 */
export class ServiceConnection {
  private fetching: Promise<typeof fetch> | undefined;

  constructor(readonly addresses: SystemAddresses) {}

  /** @throws SluiceError SYSTEM_UNREACHABLE without an answer, USAGE_INVALID for CN2, SETTING_INVALID for a file of authorities */
  async send(service: string, url: string, init: RequestInit): Promise<Response> {
    const token = this.tokenFor(service, url);
    this.fetching ??= fetchTrusting(this.addresses.caFile);
    const send = await this.fetching;
    try {
      if (token === undefined) return await send(url, init);
      const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${token}` };
      // CN1: a redirect could lead the token elsewhere.
      return await send(url, { ...init, headers, redirect: 'error' });
    } catch (cause) {
      throw unreachable(service, url, cause);
    }
  }

  /** CN2. */
  private tokenFor(service: string, url: string): string | undefined {
    const { accessToken, token, insecureHttp } = this.addresses;
    // The token of the machine opens any file of it: it is sent to this machine only.
    if (accessToken === undefined) return isLoopbackHost(new URL(url).hostname) ? token : undefined;
    if (isSafeForSecrets(url) || insecureHttp === true) return accessToken;
    throw new SluiceError(
      'USAGE_INVALID',
      `The token is not sent to the ${service} at ${new URL(url).origin}: it could be read on the way. Use an https address.`,
    );
  }
}

/** @returns Node's own, unless other authorities are to be trusted, which it does not take */
async function fetchTrusting(caFile: string | undefined): Promise<typeof fetch> {
  if (caFile === undefined) return fetch;
  const ca = await readFile(caFile, 'utf8').catch((cause: unknown) => {
    const text = `The authorities in ${caFile} cannot be read (${messageOf(cause)}).`;
    throw new SluiceError('SETTING_INVALID', text, {}, { cause });
  });
  const undici = await import('undici');
  const dispatcher = new undici.Agent({ connect: { ca } });
  const send = (url: string, init: object): unknown => undici.fetch(url, { ...init, dispatcher });
  return send as unknown as typeof fetch;
}

export function unreachable(service: string, url: string, cause: unknown): SluiceError {
  const reason = reasonOf(cause);
  const advice = CERTIFICATE.test(reason)
    ? ' Its certificate cannot be trusted: name the authority by --ca-file or SLUICE_CA_FILE, or use the host name that it is for.'
    : '';
  const message = `The ${service} at ${new URL(url).origin} does not answer (${reason}).${advice}`;
  return new SluiceError('SYSTEM_UNREACHABLE', message, {}, { cause });
}

/** Node's codes for a certificate that it refuses. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/;

/** fetch hides the reason in `cause`: ECONNREFUSED says more than "fetch failed". */
function reasonOf(error: unknown): string {
  const { name, code, cause, message } = error as NodeJS.ErrnoException & { readonly cause?: unknown };
  if (name === 'TimeoutError') return 'no answer in time';
  if (typeof code === 'string') return code;
  return typeof cause === 'object' && cause !== null ? reasonOf(cause) : message;
}
