/**
 * One object of a store as one run of bytes, whatever happens to its connections.
 *
 * States: requesting → reading → (interrupted → waiting → requesting → reading)* → done | failed.
 *
 * - OB1: every byte of one version is delivered once, in order. The version is pinned by its id where the bucket has versions, and by
 *   If-Match with its ETag elsewhere. A store that ignores If-Match is found out: each answer has to repeat ETag, total and place.
 * - OB2: an object is done when all of its announced bytes are there; one that ends earlier was interrupted.
 * - OB3: interruptions are charged to the retry budget; what is none ends the reading at once.
 * - OB4: a caller who is not trusted reads only objects of allowed buckets, and learns nothing about others.
 */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { OwnPart } from '#core/source/own-part.js';
import type { Lifetime } from '../lifetime.js';
import { RetryBudget } from '../retry-budget.js';
import type { Transport } from '../transport.js';
import type { SourceAccess } from '../source-kind.js';
import type { S3Address } from './s3-address.js';
import { storeTrouble } from './s3-errors.js';
import type { S3Config } from './s3.config.js';

export interface ObjectAccess extends Pick<SourceAccess, 'lifetime' | 'onRetry'> {
  readonly isTrusted: boolean;
  /** What {@link versionOf} takes the version from that the job began with. */
  readonly began: OwnPart | null;
}

/** A store that does not take a connection within this is tried again rather than waited for. */
const CONNECT_TIMEOUT_MS = 10_000;

/** @throws SluiceError SOURCE_*; no text in it holds credentials */
export async function openObject(
  address: S3Address,
  config: S3Config,
  { isTrusted, began, lifetime, onRetry }: ObjectAccess,
): Promise<Transport> {
  if (!isTrusted && !config.buckets().includes(address.bucket))
    throw new SluiceError(
      'SOURCE_NOT_ALLOWED',
      `${address.display} is in a bucket that sources of callers without the local token may not come from.`,
      { file: address.display },
    );
  const client = await connect(config, lifetime);
  const versionId = address.versionId ?? versionOf(began);
  const parts = { client, address, config, signal: lifetime.signal, onRetry };
  return new ObjectReading(parts, versionId).open();
}

/** The version that the job began with; anything but what {@link ObjectReading.open} has put there is none. */
function versionOf(began: OwnPart | null): string | null {
  const id = began?.['versionId'];
  return typeof id === 'string' ? id : null;
}

/** The SDK is loaded with the first object: an ingestor without any does not pay for it. */
async function connect(config: S3Config, lifetime: Lifetime): Promise<S3Client> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client({
    ...placeOf(config),
    forcePathStyle: config.usesPath,
    // A bucket of another region is read there, as by the store's own tools.
    followRegionRedirects: config.s3Endpoint === '',
    // Ours: their waits are charged to one budget, whatever breaks.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: Math.min(CONNECT_TIMEOUT_MS, config.idleTimeoutMs),
      requestTimeout: config.idleTimeoutMs,
      throwOnRequestTimeout: true,
    },
  });
  lifetime.holds(() => {
    client.destroy();
    return Promise.resolve();
  });
  return client;
}

/** Stores that are not AWS mostly have no regions, but signatures name one. */
function placeOf({ s3Endpoint: endpoint, awsRegion: region }: S3Config): {
  endpoint?: string;
  region?: string;
} {
  if (endpoint !== '') return { endpoint, region: region === '' ? 'us-east-1' : region };
  return region === '' ? {} : { region };
}

/** What an answer says of the object. */
interface Version {
  readonly etag: string | null;
  readonly total: number;
}

/** What every reading of one object has in common. */
interface ReadingParts extends Pick<SourceAccess, 'onRetry'> {
  readonly client: S3Client;
  readonly address: S3Address;
  readonly config: S3Config;
  readonly signal: AbortSignal;
}

class ObjectReading {
  readonly #budget: RetryBudget;
  #position = 0;
  #version: Version | null = null;

  constructor(
    private readonly parts: ReadingParts,
    private readonly versionId: string | null,
  ) {
    this.#budget = new RetryBudget(parts.config);
  }

  async open(): Promise<Transport> {
    const answer = await this.#ask();
    const { etag, total } = this.#version ?? { etag: null, total: 0 };
    const { VersionId: id, LastModified: modified } = answer;
    // "null" is what buckets call the version of objects from before they had versions: it is replaced in place.
    const versionId = this.versionId ?? (id === undefined || id === 'null' ? null : id);
    return {
      identity: {
        bytes: total,
        etag,
        lastModified: modified?.toISOString() ?? null,
        validator: etag,
        own: versionId === null ? {} : { versionId },
      },
      chunks: this.#chunks(answer),
      from: (offset) => Promise.resolve(this.#from(offset, versionId)),
    };
  }

  #from(offset: number, versionId: string | null): AsyncGenerator<Buffer> | null {
    if (this.#version === null || offset > this.#version.total) return null;
    const rest = new ObjectReading(this.parts, versionId);
    rest.#position = offset;
    rest.#version = this.#version;
    return rest.#chunks(null);
  }

  /** @param first an answer that is to be read; null: the first one is still to be asked for */
  async *#chunks(first: GetObjectCommandOutput | null): AsyncGenerator<Buffer> {
    const total = this.#version?.total ?? 0;
    for (let answer = first; this.#position < total || answer !== null; answer = null) {
      const body = (answer ?? (await this.#ask())).Body as Readable | undefined;
      if (body === undefined) throw this.#trouble(new Error('no body')).error;
      try {
        for await (const chunk of this.#within(body)) {
          this.#position += chunk.length;
          yield chunk;
        }
        if (this.#position > total) throw this.#changed('it became longer');
        if (this.#position === total) return;
        throw new EndedEarly();
      } catch (error) {
        // A checksum of the whole is compared behind its last byte: nothing is left that could be asked for again.
        if (this.#position === total) throw this.#trouble(error).error;
        await this.#wait(error);
      } finally {
        body.destroy();
      }
    }
  }

  /** The chunks of a body; one that sends nothing for too long, while it is read, ends with an error. */
  async *#within(body: Readable): AsyncGenerator<Buffer> {
    const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const { idleTimeoutMs } = this.parts.config;
    for (;;) {
      const timer = setTimeout(() => body.destroy(this.#stalled()), idleTimeoutMs);
      try {
        const next = await chunks.next();
        if (next.done === true) return;
        clearTimeout(timer);
        yield next.value;
      } finally {
        clearTimeout(timer);
      }
    }
  }

  /** Requests what is missing until there is an answer, and judges it (OB1). */
  async #ask(): Promise<GetObjectCommandOutput> {
    for (;;) {
      try {
        return this.#judged(await this.#request());
      } catch (error) {
        await this.#wait(error);
      }
    }
  }

  async #request(): Promise<GetObjectCommandOutput> {
    const { GetObjectCommand } = await import('@aws-sdk/client-s3');
    const { client, address, signal } = this.parts;
    const { bucket, key } = address;
    const etag = this.#version?.etag ?? null;
    const request = {
      ...{ Bucket: bucket, Key: key },
      ...(this.versionId === null ? {} : { VersionId: this.versionId }),
      ...(etag === null ? {} : { IfMatch: etag }),
      ...(this.#position === 0 ? {} : { Range: `bytes=${this.#position}-` }),
    };
    return client.send(new GetObjectCommand(request), { abortSignal: signal });
  }

  /** OB1 */
  #judged(answer: GetObjectCommandOutput): GetObjectCommandOutput {
    try {
      const found = versionIn(answer);
      if (found === null) throw this.#serverError('its size is not in the answer');
      if (found.start !== this.#position)
        throw this.#serverError('another range was sent than was asked for');
      const { etag, total } = (this.#version ??= found);
      if (found.etag !== etag) throw this.#changed('its ETag is another one');
      if (found.total !== total) throw this.#changed(`its size went from ${total} to ${found.total} bytes`);
      return answer;
    } catch (error) {
      (answer.Body as Readable | undefined)?.destroy();
      throw error;
    }
  }

  /** OB3. Charges an interruption and waits as long as it costs; anything else is thrown on. */
  async #wait(thrown: unknown): Promise<void> {
    const { config, signal, onRetry } = this.parts;
    signal.throwIfAborted();
    const { error, isPassing } = this.#trouble(thrown);
    if (!isPassing) throw error;
    const waitMs = this.#budget.spend(this.#position);
    if (waitMs === null) {
      const text = `${error.message} Given up after ${config.retries} retries.`;
      throw new SluiceError(error.code, text, error.place);
    }
    await sleep(waitMs, undefined, { signal });
    onRetry(error.code);
  }

  #trouble(thrown: unknown): { readonly error: SluiceError; readonly isPassing: boolean } {
    if (thrown instanceof Stalled) return { error: thrown.lasting, isPassing: true };
    const { total } = this.#version ?? { total: null };
    const progress =
      this.#position === 0 ? '' : `${this.#position} of ${total ?? '?'} bytes had come before.`;
    return storeTrouble(thrown, this.parts.address, progress);
  }

  #stalled(): Stalled {
    const { display } = this.parts.address;
    return new Stalled(
      new SluiceError('SOURCE_STALLED', `${display} stopped sending after ${this.#position} bytes.`, {
        file: display,
      }),
    );
  }

  #changed(how: string): SluiceError {
    const { display } = this.parts.address;
    return new SluiceError('SOURCE_CHANGED', `${display} changed while it was read: ${how}.`, {
      file: display,
    });
  }

  #serverError(what: string): SluiceError {
    const { display } = this.parts.address;
    return new SluiceError('SOURCE_SERVER_ERROR', `${display} cannot be read: ${what}.`, { file: display });
  }
}

/** OB2 */
class EndedEarly extends Error {}

/** A body that sends nothing; another request may get the rest. */
class Stalled extends Error {
  constructor(readonly lasting: SluiceError) {
    super(lasting.message);
  }
}

/** Of which version an answer is, and where it begins; null when it does not say. */
function versionIn(answer: GetObjectCommandOutput): (Version & { readonly start: number }) | null {
  const { ContentLength: length, ContentRange: range, ETag: etag = null } = answer;
  if (range === undefined) return length === undefined ? null : { etag, total: length, start: 0 };
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(range) ?? [];
  return total === undefined ? null : { etag, total: Number(total), start: Number(start) };
}
