import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isSafeForSecrets } from '#common/access/loopback.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { SluiceClient } from '../client.js';
import {
  CONTEXT_NAME,
  ContextStore,
  LOCAL_CONTEXT,
  type StoredContext,
  contextIn,
} from '../contexts/context-store.js';
import type { Exit } from '../exit-codes.js';
import { successJson } from '../render/envelope.js';
import { askSecretly } from '../render/prompt.js';
import { type TableColumn, renderTable } from '../render/table.js';
import { type CliContext, interruptible, widthOf, write } from './context.js';

export interface LoginOptions {
  readonly name?: string;
  readonly tracker?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly insecureHttp?: boolean;
}

/** Where `sluice up` and the manifests put the two services. */
const INGESTOR_PORT = '3001';
const TRACKER_PORT = '3004';
/** Longer ones are no token. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;

/** `sluice login URL`: stores a token for a system, once the system has taken it; commands then go there. */
export async function login(context: CliContext, address: string, options: LoginOptions): Promise<Exit> {
  const ingestorUrl = serviceUrl(address, 'The address');
  const trackerUrl =
    options.tracker === undefined ? trackerBeside(ingestorUrl) : serviceUrl(options.tracker, '--tracker');
  const { name = new URL(ingestorUrl).hostname.replace(/[^A-Za-z0-9._-]/g, '') } = options;
  if (!CONTEXT_NAME.test(name) || name === LOCAL_CONTEXT)
    throw new SluiceError(
      'USAGE_INVALID',
      `"${name}" cannot name a context: --name takes A to Z, a to z, digits and . _ -, at most 63, and not ${LOCAL_CONTEXT}.`,
    );
  if (options.insecureHttp !== true) refuseToBeRead([ingestorUrl, trackerUrl]);
  const made: StoredContext = {
    ...{ ingestorUrl, trackerUrl, token: await tokenOf(context, options.tokenFile) },
    ...(options.insecureHttp === true ? { insecureHttp: true } : {}),
    ...(options.caFile === undefined ? {} : { caFile: resolve(context.cwd, options.caFile) }),
  };
  await assertTaken(made);
  const store = new ContextStore(context.settings().configHome);
  const { contexts } = await store.read();
  await store.write({ current: name, contexts: { ...contexts, [name]: made } });
  await write(context.stdout, `Commands go to ${name} now: ${ingestorUrl}, ${trackerUrl}.\n`);
  return 'success';
}

/** `sluice logout [name]`: forgets a context with its token; the current one by default. */
export async function logout(context: CliContext, name: string | undefined): Promise<Exit> {
  const store = new ContextStore(context.settings().configHome);
  const stored = await store.read();
  const gone = name ?? stored.current;
  if (gone === null)
    throw new SluiceError('USAGE_INVALID', 'No context is in use; name one that `sluice contexts` lists.');
  contextIn(stored, gone);
  const contexts = Object.fromEntries(Object.entries(stored.contexts).filter(([each]) => each !== gone));
  await store.write({ current: stored.current === gone ? null : stored.current, contexts });
  await write(
    context.stdout,
    `${gone} is forgotten here. Its token stays valid until it expires, or \`sluice token revoke\` ends it there.\n`,
  );
  return 'success';
}

/** `sluice use NAME`: where commands go from now on; `local` is the system of the checkout. */
export async function use(context: CliContext, name: string): Promise<Exit> {
  const store = new ContextStore(context.settings().configHome);
  const stored = await store.read();
  if (name !== LOCAL_CONTEXT) contextIn(stored, name);
  await store.write({ ...stored, current: name === LOCAL_CONTEXT ? null : name });
  await write(context.stdout, `Commands go to ${name} now.\n`);
  return 'success';
}

interface ContextLine {
  readonly name: string;
  readonly current: boolean;
  readonly ingestorUrl: string | null;
  readonly trackerUrl: string | null;
}

/** `sluice contexts`: all of them, without their tokens. */
export async function contexts(context: CliContext, { json }: { readonly json?: boolean }): Promise<Exit> {
  const { current, contexts: known } = await new ContextStore(context.settings().configHome).read();
  const lines: ContextLine[] = [
    { name: LOCAL_CONTEXT, current: current === null, ingestorUrl: null, trackerUrl: null },
    ...Object.entries(known).map(([name, { ingestorUrl, trackerUrl }]) => ({
      ...{ name, current: name === current, ingestorUrl, trackerUrl },
    })),
  ];
  const text = renderTable(lines, COLUMNS, widthOf(context.stdout));
  await write(context.stdout, json === true ? successJson({ contexts: lines }) : text);
  return 'success';
}

const COLUMNS: readonly TableColumn<ContextLine>[] = [
  { title: 'name', value: ({ name }) => name },
  { title: 'in use', value: ({ current }) => (current ? 'yes' : '') },
  {
    title: 'ingestor',
    value: ({ ingestorUrl }) => ingestorUrl ?? 'of this checkout, or SLUICE_INGESTOR_URL',
  },
  { title: 'tracker', value: ({ trackerUrl }) => trackerUrl ?? '' },
];

/** Asks both services for what every role may read. */
async function assertTaken({ token, ...addresses }: StoredContext): Promise<void> {
  const client = new SluiceClient({ ...addresses, accessToken: token });
  await asService('ingestor', addresses.ingestorUrl, client.streams());
  await asService('tracker', addresses.trackerUrl, client.datasets());
}

/** @throws SluiceError USAGE_INVALID when what answers there does not know what each ingestor, or tracker, does */
async function asService(service: string, url: string, answered: Promise<unknown>): Promise<void> {
  await answered.catch((error: unknown) => {
    if (!(error instanceof SluiceError) || error.code !== 'REQUEST_INVALID') throw error;
    const text = `What answers at ${url} is no ${service}: the address is that of the ingestor, and --tracker that of the tracker.`;
    throw new SluiceError('USAGE_INVALID', text, {}, { cause: error });
  });
}

async function tokenOf(context: CliContext, file: string | undefined): Promise<string> {
  const text = file === undefined ? await typedToken(context) : await tokenIn(resolve(context.cwd, file));
  const token = text.trim();
  if (TOKEN.test(token)) return token;
  throw new SluiceError(
    'USAGE_INVALID',
    'There is no token: write one to standard input, or name its file with --token-file.',
  );
}

async function tokenIn(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new SluiceError('USAGE_INVALID', `The token in ${file} cannot be read (${messageOf(cause)}).`);
  });
}

async function typedToken(context: CliContext): Promise<string> {
  const { stdin, stderr } = context;
  if (stdin.isTTY === true)
    return interruptible(context, (signal) =>
      askSecretly('Token: ', { input: stdin, output: stderr }, signal),
    );
  let text = '';
  for await (const piece of stdin as AsyncIterable<Buffer | string>) {
    text += piece.toString();
    if (text.length > 16_384) break;
  }
  return text;
}

function serviceUrl(text: string, what: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isService =
    url !== undefined &&
    ['http:', 'https:'].includes(url.protocol) &&
    `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (isService) return url.href.replace(/\/+$/, '');
  throw new SluiceError(
    'USAGE_INVALID',
    `${what} must be the http or https address of a service, like https://ingestor.example.org.`,
  );
}

/** Where both services are behind one address, a proxy distinguishes them. */
function trackerBeside(ingestorUrl: string): string {
  const url = new URL(ingestorUrl);
  if (url.port === INGESTOR_PORT) url.port = TRACKER_PORT;
  return url.href.replace(/\/+$/, '');
}

function refuseToBeRead(urls: readonly string[]): void {
  const plain = urls.find((url) => !isSafeForSecrets(url));
  if (plain === undefined) return;
  throw new SluiceError(
    'USAGE_INVALID',
    `The token would travel to ${plain} unencrypted: use an https address, or --insecure-http where the network is yours.`,
  );
}
