import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { AuditEntry } from '#api/audit.js';
import type { DatasetView } from '#api/datasets.js';
import type {
  CheckDeadLetters,
  DeadLettersChecked,
  DeadLettersEdited,
  EditDeadLetters,
  FixDeadLetters,
  ImportDeadLetters,
} from '#api/dead-letter-edits.js';
import type {
  DeadLetterGroupPage,
  DeadLetterGroupView,
  DeadLetterView,
  DeadLettersDiscarded,
  DeadLettersResubmitted,
  DiscardDeadLetters,
  ResubmitDeadLetters,
} from '#api/dead-letters.js';
import type {
  JobAccepted,
  JobCancelled,
  JobDetail,
  JobRequest,
  JobSummary,
  ResumeRequest,
} from '#api/jobs.js';
import type { Page } from '#api/pages.js';
import type { ParkedMessageContent, ParkedMessageView } from '#api/parked-messages.js';
import type { Problem } from '#api/problems.js';
import type { ReplayAccepted, ReplayJobView, ReplayRequest, ReplayView } from '#api/replays.js';
import type {
  StreamAccepted,
  StreamResumeRequest,
  StreamStartRequest,
  StreamView,
  StreamHour,
} from '#api/streams.js';
import type { TraceLine, TraceRequest } from '#api/trace.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { HealthAnswer } from '#common/http/health.controller.js';
import { knownErrorCode } from './exit-codes.js';
import { ServiceConnection, type SystemAddresses, unreachable } from './service-connection.js';

export type Query = Readonly<Record<string, string | number | undefined>>;

/** An answer is awaited this long; the ingestor and the tracker answer from memory and indexes. */
const ANSWER_TIMEOUT_MS = 30_000;
/** A cancelled job's answer waits for its ingestor to let go, at most for a lease (30 s, unless set otherwise). */
const CANCEL_TIMEOUT_MS = 120_000;
/** Some ten thousand dead letters are discarded a second, and the answer comes when all are. */
const DISCARD_TIMEOUT_MS = 600_000;
/** Some ten thousand are corrected and validated a second, twice where it asks first. */
const CORRECTION_TIMEOUT_MS = 600_000;
/** Jobs without a ledger are looked for in the raw topic before the answer comes. */
const REPLAY_TIMEOUT_MS = 600_000;
/** A question on the side, which must not hold up the command. */
const HEALTH_TIMEOUT_MS = 2_000;
const PAGE_ITEMS = 500;
/** A job is some kilobytes; a server that sends more without an end is no tracker. */
const MAX_EVENT_CHARACTERS = 4 * 1024 * 1024;
/** Of a trace: two thousand records with three long findings each. */
const MAX_TRACE_CHARACTERS = 32 * 1024 * 1024;

/**
 * The HTTP API as the commands use it. Every failure is a SluiceError: SYSTEM_UNREACHABLE without an
 * answer, else the code of the answer's problem details (409 and 422 bring all they list).
 */
export class SluiceClient {
  private readonly addresses: SystemAddresses;
  private readonly connection: ServiceConnection;

  constructor(addresses: SystemAddresses) {
    this.addresses = addresses;
    this.connection = new ServiceConnection(addresses);
  }

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

  /** The largest first. */
  deadLetterGroups(query: Query): AsyncGenerator<DeadLetterGroupView> {
    return this.pages('/dead-letters/groups', query);
  }

  /** How many dead letters of older builds the tracker has still to group. */
  async ungroupedDeadLetters(): Promise<number> {
    return (await this.tracker<DeadLetterGroupPage>('/dead-letters/groups?limit=1')).ungrouped;
  }

  discardDeadLetters(request: DiscardDeadLetters): Promise<DeadLettersDiscarded> {
    return this.postToTracker('/dead-letters/discard', request, DISCARD_TIMEOUT_MS);
  }

  /** Of the ingestor, which sends them. */
  resubmitDeadLetters(request: ResubmitDeadLetters): Promise<DeadLettersResubmitted> {
    return this.post('/resubmissions', request, DISCARD_TIMEOUT_MS);
  }

  editDeadLetters(request: EditDeadLetters): Promise<DeadLettersEdited> {
    return this.postToTracker('/dead-letters/edits', request, CORRECTION_TIMEOUT_MS);
  }

  fixDeadLetters(request: FixDeadLetters): Promise<DeadLettersEdited> {
    return this.postToTracker('/dead-letters/fix', request, CORRECTION_TIMEOUT_MS);
  }

  importDeadLetters(request: ImportDeadLetters): Promise<DeadLettersEdited> {
    return this.postToTracker('/dead-letters/import', request, CORRECTION_TIMEOUT_MS);
  }

  checkDeadLetters(request: CheckDeadLetters): Promise<DeadLettersChecked> {
    return this.postToTracker('/dead-letters/check', request, CORRECTION_TIMEOUT_MS);
  }

  /** Chunk by chunk, as they come. @throws SluiceError SYSTEM_UNREACHABLE also when the connection breaks in the middle */
  async *exportDeadLetters(query: Query, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) parameters.set(name, String(value));
    const url = `${this.addresses.trackerUrl}/dead-letters/export?${parameters.toString()}`;
    const response = await this.connection.send('tracker', url, { signal });
    if (!response.ok || response.body === null) throw await refusal(response, url);
    try {
      yield* response.body as AsyncIterable<Uint8Array>;
    } catch (cause) {
      throw unreachable('tracker', url, cause);
    }
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

  /** Of every dataset with an inbox. */
  streams(): Promise<readonly StreamView[]> {
    return this.answer('ingestor', `${this.addresses.ingestorUrl}/streams`, {});
  }

  stream(dataset: string): Promise<StreamView> {
    return this.answer('ingestor', `${this.addresses.ingestorUrl}${streamPath(dataset)}`, {});
  }

  /** The newest first. */
  streamHours(dataset: string, last: number): Promise<readonly StreamHour[]> {
    return this.answer(
      'ingestor',
      `${this.addresses.ingestorUrl}${streamPath(dataset)}/hours?last=${last}`,
      {},
    );
  }

  startStream(dataset: string, request: StreamStartRequest): Promise<StreamAccepted> {
    return this.post(`${streamPath(dataset)}/start`, request);
  }

  pauseStream(dataset: string): Promise<StreamAccepted> {
    return this.post(`${streamPath(dataset)}/pause`, {});
  }

  resumeStream(dataset: string, request: StreamResumeRequest): Promise<StreamAccepted> {
    return this.post(`${streamPath(dataset)}/resume`, request);
  }

  drainStream(dataset: string): Promise<StreamAccepted> {
    return this.post(`${streamPath(dataset)}/drain`, {});
  }

  /** Finds what a replay covers, and begins it unless it is a dry run. */
  startReplay(request: ReplayRequest): Promise<ReplayAccepted> {
    return this.post('/replays', request, REPLAY_TIMEOUT_MS);
  }

  replay(id: string): Promise<ReplayView> {
    return this.answer('ingestor', `${this.addresses.ingestorUrl}/replays/${encodeURIComponent(id)}`, {});
  }

  /** The first jobs of a replay. */
  replayJobs(id: string, limit: number): Promise<Page<ReplayJobView>> {
    const path = `/replays/${encodeURIComponent(id)}/jobs?limit=${limit}`;
    return this.answer('ingestor', this.addresses.ingestorUrl + path, {});
  }

  /** Newest first. */
  replays(query: Query): AsyncGenerator<ReplayView> {
    return this.pages('/replays', query, (path) =>
      this.answer('ingestor', this.addresses.ingestorUrl + path, {}),
    );
  }

  cancelReplay(id: string): Promise<ReplayView> {
    return this.post(`/replays/${encodeURIComponent(id)}/cancel`, {}, CANCEL_TIMEOUT_MS);
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

  /** Who gave which command, newest first. */
  audit(query: Query): AsyncGenerator<AuditEntry> {
    return this.pages('/audit', query);
  }

  /**
   * The job each time that the tracker sends it, until the stream ends or `signal` aborts.
   * Yields undefined for an event that is only a hint that something has changed.
   */
  async *jobEvents(id: string, signal: AbortSignal): AsyncGenerator<JobDetail | undefined> {
    const url = `${this.addresses.trackerUrl}/jobs/${encodeURIComponent(id)}/events`;
    const response = await this.connection.send('tracker', url, {
      headers: { accept: 'text/event-stream' },
      signal,
    });
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

  /**
   * The lines of a trace: progress, and its answer or error as the last one.
   * @param signal ends it, here and at the tracker
   */
  async *trace(request: TraceRequest, signal: AbortSignal): AsyncGenerator<TraceLine> {
    const url = `${this.addresses.trackerUrl}/traces`;
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(request), signal };
    const response = await this.connection.send('tracker', url, init);
    if (!response.ok || response.body === null) throw await refusal(response, url);
    try {
      for await (const line of linesOf(response.body as AsyncIterable<Uint8Array>)) yield traceLineIn(line);
    } catch (error) {
      throw error instanceof SluiceError ? error : unreachable('tracker', url, error);
    }
  }

  /** Page after page, each fetched when the one before it has been taken. */
  private async *pages<T>(
    path: string,
    query: Query,
    get: (path: string) => Promise<Page<T>> = (one) => this.tracker(one),
  ): AsyncGenerator<T> {
    const parameters = new URLSearchParams({ limit: String(PAGE_ITEMS) });
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) parameters.set(name, String(value));
    }
    for (;;) {
      const page = await get(`${path}?${parameters.toString()}`);
      yield* page.items;
      if (page.next === null) return;
      parameters.set('cursor', page.next);
    }
  }

  private tracker<T>(path: string): Promise<T> {
    return this.answer('tracker', this.addresses.trackerUrl + path, {});
  }

  private postToTracker<T>(path: string, body: object, timeoutMs?: number): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    return this.answer('tracker', this.addresses.trackerUrl + path, init, timeoutMs);
  }

  private post<T>(path: string, body: object, timeoutMs?: number): Promise<T> {
    const { ingestorUrl } = this.addresses;
    const headers = { 'content-type': 'application/json' };
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
    const response = await this.connection.send(service, url, { ...init, signal });
    if (!response.ok) throw await refusal(response, url);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      throw unreachable(service, url, cause);
    }
  }
}

function streamPath(dataset: string): string {
  return `/streams/${encodeURIComponent(dataset)}`;
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

/** @throws SluiceError SYSTEM_UNREACHABLE for a line that no tracker sends */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_TRACE_CHARACTERS)
      throw new SluiceError('SYSTEM_UNREACHABLE', 'The tracker sends a line without an end.');
    yield* lines;
  }
}

function traceLineIn(line: string): TraceLine {
  const value = parseObject(line);
  if (value !== undefined && ['progress', 'trace', 'error'].some((member) => member in value))
    return value as unknown as TraceLine;
  throw new SluiceError('SYSTEM_UNREACHABLE', 'The tracker sends a line that is none of a trace.');
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
