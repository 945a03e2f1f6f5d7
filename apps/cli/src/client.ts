import { isIP } from 'node:net';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { HealthAnswer } from '#common/http/health.controller.js';
import type {
  DatasetView,
  DeadLetterView,
  JobAccepted,
  JobCancelled,
  JobDetail,
  JobRequest,
  JobSummary,
  Page,
  ParkedMessageContent,
  ParkedMessageView,
  Problem,
  ResumeRequest,
} from '#core/job/job-view.js';
import { knownErrorCode } from './exit-codes.js';

/** Where the running system listens, without a slash at the end. */
export interface SystemAddresses {
  readonly ingestorUrl: string;
  readonly trackerUrl: string;
  /** Proves a caller on the same machine to the ingestor; undefined when there is none. */
  readonly token?: string | undefined;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

/** An answer is awaited this long; the ingestor and the tracker answer from memory and indexes. */
const ANSWER_TIMEOUT_MS = 30_000;
/** A cancelled job's answer waits for its ingestor to let go, at most for a lease (30 s, unless set otherwise). */
const CANCEL_TIMEOUT_MS = 120_000;
/** A question on the side, which must not hold up the command. */
const HEALTH_TIMEOUT_MS = 2_000;
const PAGE_ITEMS = 500;
/** A job is some kilobytes; a server that sends more without an end is no tracker. */
const MAX_EVENT_CHARACTERS = 4 * 1024 * 1024;

/**
 * The HTTP API as the commands use it. Every failure is a SluiceError: SYSTEM_UNREACHABLE without an
 * answer, else the code of the answer's problem details (409 and 422 bring all they list).
 */
export class SluiceClient {
  constructor(private readonly addresses: SystemAddresses) {}

  datasets(): Promise<readonly DatasetView[]> {
    return this.tracker('/datasets');
  }

  /** Of which build the ingestor is; null when it does not say, or does not answer now. */
  async ingestorBuild(): Promise<string | null> {
    const { ingestorUrl } = this.addresses;
    const answer = this.answer<Partial<HealthAnswer>>(
      'ingestor',
      `${ingestorUrl}/health/live`,
      {},
      HEALTH_TIMEOUT_MS,
    );
    return (await answer.catch(() => undefined))?.build ?? null;
  }

  job(id: string): Promise<JobDetail> {
    return this.tracker(`/jobs/${encodeURIComponent(id)}`);
  }

  jobs(query: Query): AsyncGenerator<JobSummary> {
    return this.pages('/jobs', query);
  }

  deadLetters(query: Query): AsyncGenerator<DeadLetterView> {
    return this.pages('/dead-letters', query);
  }

  /** One dead letter with its exact bytes. */
  deadLetter(job: string, record: number): Promise<DeadLetterView> {
    return this.tracker(`/dead-letters/${encodeURIComponent(job)}/${record}`);
  }

  startJob(request: JobRequest): Promise<JobAccepted> {
    return this.post('/jobs', request);
  }

  pauseJob(id: string): Promise<JobAccepted> {
    return this.post(`/jobs/${encodeURIComponent(id)}/pause`, {});
  }

  continueJob(id: string): Promise<JobAccepted> {
    return this.post(`/jobs/${encodeURIComponent(id)}/continue`, {});
  }

  /** @param id undefined: the newest job that can be resumed */
  resumeJob(id: string | undefined, request: ResumeRequest): Promise<JobAccepted> {
    return this.post(id === undefined ? '/jobs/resume' : `/jobs/${encodeURIComponent(id)}/resume`, request);
  }

  discardJob(id: string): Promise<JobAccepted> {
    return this.post(`/jobs/${encodeURIComponent(id)}/discard`, {});
  }

  cancelJob(id: string): Promise<JobCancelled> {
    return this.post(`/jobs/${encodeURIComponent(id)}/cancel`, {}, CANCEL_TIMEOUT_MS);
  }

  /** One parked message with its headers and exact bytes, from its topic. @param place topic/partition/offset */
  parkedMessage(place: string): Promise<ParkedMessageContent> {
    return this.tracker(`/parked-messages/${place}`);
  }

  retryParked(place: string): Promise<ParkedMessageView> {
    return this.postToTracker(`/parked-messages/${place}/retry`, {});
  }

  skipParked(place: string, reason: string): Promise<ParkedMessageView> {
    return this.postToTracker(`/parked-messages/${place}/skip`, { reason });
  }

  /** Messages that could not be read, newest first. */
  parkedMessages(): AsyncGenerator<ParkedMessageView> {
    return this.pages('/parked-messages', {});
  }

  /**
   * The job as often as the tracker tells of it, until the stream ends or `signal` aborts.
   * Yields undefined for an event that is only a hint that something has changed.
   */
  async *jobEvents(id: string, signal: AbortSignal): AsyncGenerator<JobDetail | undefined> {
    const url = `${this.addresses.trackerUrl}/jobs/${encodeURIComponent(id)}/events`;
    const response = await this.send('tracker', url, { headers: { accept: 'text/event-stream' }, signal });
    if (!response.ok || response.body === null) throw await refusal(response, url);
    // Read by hand: a chain of pipeThrough can wait for ever when an abort meets the end of the stream.
    const events: EventSourceMessage[] = [];
    const parser = createParser({
      onEvent: (event) => events.push(event),
      maxBufferSize: MAX_EVENT_CHARACTERS,
    });
    const decoder = new TextDecoder();
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      parser.feed(decoder.decode(chunk, { stream: true }));
      for (const event of events.splice(0)) yield detailIn(event.data);
    }
  }

  /** Page after page, each fetched when the one before it has been taken. */
  private async *pages<T>(path: string, query: Query): AsyncGenerator<T> {
    const parameters = new URLSearchParams({ limit: String(PAGE_ITEMS) });
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) parameters.set(name, String(value));
    }
    for (;;) {
      const page = await this.tracker<Page<T>>(`${path}?${parameters.toString()}`);
      yield* page.items;
      if (page.next === null) return;
      parameters.set('cursor', page.next);
    }
  }

  private tracker<T>(path: string): Promise<T> {
    return this.answer('tracker', this.addresses.trackerUrl + path, {});
  }

  private postToTracker<T>(path: string, body: object): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    return this.answer('tracker', this.addresses.trackerUrl + path, {
      ...{ method: 'POST', headers },
      body: JSON.stringify(body),
    });
  }

  private post<T>(path: string, body: object, timeoutMs?: number): Promise<T> {
    const { ingestorUrl, token } = this.addresses;
    // The token opens any file of this machine: it is sent to this machine only.
    const proof: Record<string, string> =
      token !== undefined && isLoopback(ingestorUrl) ? { authorization: `Bearer ${token}` } : {};
    const headers = { 'content-type': 'application/json', ...proof };
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    return this.answer('ingestor', ingestorUrl + path, init, timeoutMs);
  }

  private async answer<T>(
    service: string,
    url: string,
    init: RequestInit,
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<T> {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await this.send(service, url, { ...init, signal });
    if (!response.ok) throw await refusal(response, url);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      throw unreachable(service, url, cause);
    }
  }

  private async send(service: string, url: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, init);
    } catch (cause) {
      throw unreachable(service, url, cause);
    }
  }
}

function unreachable(service: string, url: string, cause: unknown): SluiceError {
  const message = `The ${service} at ${new URL(url).origin} does not answer (${reasonOf(cause)}).`;
  return new SluiceError('SYSTEM_UNREACHABLE', message, {}, { cause });
}

/** fetch hides the reason in `cause`: ECONNREFUSED says more than "fetch failed". */
function reasonOf(error: unknown): string {
  const { name, code, cause, message } = error as NodeJS.ErrnoException & { readonly cause?: unknown };
  if (name === 'TimeoutError') return 'no answer in time';
  if (typeof code === 'string') return code;
  return typeof cause === 'object' && cause !== null ? reasonOf(cause) : message;
}

/** What a service answered instead of what it was asked for. */
async function refusal(response: Response, url: string): Promise<SluiceError> {
  const text = await response.text().catch(() => '');
  const problem = problemIn(text);
  if (problem === undefined) {
    const what = `${new URL(url).origin} answered ${response.status} to ${new URL(url).pathname}`;
    return new SluiceError('SYSTEM_UNREACHABLE', `${what}, which is not an answer of Sluice.`);
  }
  const fields = (problem.errors ?? [])
    // A sentence that begins with its field's name, and is all there is to say, would stand there twice.
    .filter(({ field, message }) => message !== problem.detail || !message.startsWith(field))
    .map(({ field, message }) => `\n  ${field}: ${message}`)
    .join('');
  const job = problem.activeJob === undefined ? {} : { job: problem.activeJob };
  return new SluiceError(knownErrorCode(problem.code), `${problem.detail || problem.title}${fields}`, job);
}

function problemIn(text: string): Problem | undefined {
  const value = parseObject(text);
  return value !== undefined && typeof value['code'] === 'string' ? (value as unknown as Problem) : undefined;
}

function detailIn(data: string): JobDetail | undefined {
  const value = parseObject(data);
  return value !== undefined && Array.isArray(value['stages']) && typeof value['state'] === 'string'
    ? (value as unknown as JobDetail)
    : undefined;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return (
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'))
  );
}
