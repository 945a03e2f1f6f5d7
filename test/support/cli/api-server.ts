import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AuditEntry } from '#api/audit.js';
import type { DatasetView } from '#api/datasets.js';
import type { DeadLettersEdited } from '#api/dead-letter-edits.js';
import type {
  DeadLetterGroupView,
  DeadLetterView,
  DeadLettersDiscarded,
  DeadLettersResubmitted,
} from '#api/dead-letters.js';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import type { ParkedMessageView } from '#api/parked-messages.js';
import type { Problem } from '#api/problems.js';
import type { ReplayAccepted, ReplayJobView, ReplayView } from '#api/replays.js';
import type { StreamHour, StreamView } from '#api/streams.js';

/** What stands in a topic of every parked message; its value cannot be shown as text. */
export const PARKED_CONTENT = {
  key: 'k\u001b[2J',
  headers: [
    { name: 'v', value: '9' },
    { name: 'v', value: null },
  ],
  valueBytes: 5,
  valueBase64: Buffer.from([0x61, 0x1b, 0x5b, 0xff, 0x0a]).toString('base64'),
};

/**
 * A server that speaks the shapes of `job-view.ts`, ingestor and tracker in one, for tests of the
 * command line that are not about the services. It answers from what a test puts into it.
 */
export class ApiServer {
  datasets: DatasetView[] = [];
  readonly jobs = new Map<string, JobDetail>();
  letters: DeadLetterView[] = [];
  groups: DeadLetterGroupView[] = [];
  /** Of an older build. */
  ungrouped = 0;
  /** What discarding does. */
  discarded: DeadLettersDiscarded = {
    ...{ action: null, dryRun: false, discarded: 0, decided: 0, unknown: [] },
  };
  /** What corrections do, one answer after the other; the last one stays. */
  edited: DeadLettersEdited[] = [];
  /** What `GET /dead-letters/export` sends; null: it breaks off in the middle. */
  exported: string | null = '';
  /** What resubmitting does. */
  resubmitted: DeadLettersResubmitted = {
    ...{ action: null, dryRun: false, resubmitted: 0, jobs: [], notSent: [], decided: 0, unknown: [] },
  };
  parked: ParkedMessageView[] = [];
  audit: AuditEntry[] = [];
  /** Lines of a trace, as they are sent. */
  traceLines = '';
  /** A stream as it is asked for, one answer after the other; the last one stays. */
  streamViews: StreamView[] = [];
  hours: StreamHour[] = [];
  /** Replays, and one as it is asked for, one answer after the other; the last one stays. */
  replays: ReplayView[] = [];
  replayViews: ReplayView[] = [];
  replayJobs: ReplayJobView[] = [];
  /** What a replay is accepted with. */
  newReplay: ReplayAccepted | undefined;
  /** Answers every POST with this instead. */
  problem: Problem | undefined;
  /** false: `/events` answers 404, and the command line has to ask again and again. */
  hasEvents = true;
  /** What a new job looks like. */
  newJob: JobDetail = jobDetail();

  /** What was posted, in order. */
  readonly posted: {
    readonly path: string;
    readonly body: unknown;
    readonly authorization: string | undefined;
  }[] = [];
  readonly asked: string[] = [];

  /** true: every connection is torn, as if no server were there. */
  isSilent = false;
  turnedAway = 0;

  private readonly streams = new Map<ServerResponse, string>();
  private readonly waiting = new Set<() => void>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<ApiServer> {
    const server = createServer();
    const api = new ApiServer(server);
    server.on('request', (request, response) => {
      api.answer(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** The job is now like this, and all listeners get it; streams end as the tracker's do, when there is no more to send. */
  tell(job: JobDetail): void {
    this.jobs.set(job.id, job);
    for (const [stream, id] of this.streams) {
      if (id !== job.id) continue;
      stream.write(`data: ${JSON.stringify(job)}\n\n`);
      if (job.deadLetters.complete) stream.end();
    }
  }

  /** An event that is no job. */
  sendEvent(data: string): void {
    for (const stream of this.streams.keys()) stream.write(`data: ${data}\n\n`);
  }

  /** Ends every event stream, as a restart of the tracker does. */
  dropStreams(): void {
    for (const stream of this.streams.keys()) stream.destroy();
    this.streams.clear();
  }

  /** Resolves when `condition` holds; looked at after every request. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
    });
  }

  get listeners(): number {
    return this.streams.size;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.isSilent) {
      response.destroy();
      this.turnedAway++;
      this.look();
      return;
    }
    const url = new URL(request.url ?? '/', this.url);
    const body = await readBody(request);
    if (request.method === 'POST') {
      this.posted.push({ path: url.pathname, body, authorization: request.headers.authorization });
      this.answerPost(url.pathname, body as JobRequest, response);
    } else {
      this.asked.push(`${url.pathname}${url.search}`);
      this.answerGet(url, response);
    }
    this.look();
  }

  private look(): void {
    for (const look of [...this.waiting]) look();
  }

  private answerPost(path: string, body: JobRequest, response: ServerResponse): void {
    if (this.problem !== undefined) {
      send(response, this.problem.status, this.problem);
    } else if (path === '/jobs') {
      const job = {
        ...this.newJob,
        dataset: body.dataset,
        mode: body.mode ?? 'replace',
        dryRun: body.dryRun ?? false,
      };
      this.jobs.set(job.id, job);
      send(response, 202, { id: job.id, dataset: job.dataset, state: job.state });
    } else if (/^\/dead-letters\/(edits|fix|import)$/.test(path)) {
      const [answer] = this.edited.length > 1 ? this.edited.splice(0, 1) : this.edited;
      send(response, 200, { ...answer, dryRun: (body as { dryRun?: boolean }).dryRun ?? false });
    } else if (path === '/dead-letters/check') {
      send(response, 200, { check: this.edited[0]?.check, decided: ['x:1'], unknown: [] });
    } else if (path === '/traces') {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end(this.traceLines);
    } else if (path === '/dead-letters/discard') {
      send(response, 200, { ...this.discarded, dryRun: (body as { dryRun?: boolean }).dryRun ?? false });
    } else if (path === '/resubmissions') {
      const { dryRun = false } = body as { dryRun?: boolean };
      const { jobs, ...answer } = this.resubmitted;
      send(response, 200, { ...answer, dryRun, jobs: dryRun ? [] : jobs });
    } else if (path === '/replays') {
      const isDryRun = (body as { dryRun?: boolean }).dryRun === true;
      send(response, 202, { ...this.newReplay, ...(isDryRun ? { id: null } : {}) });
    } else if (path.startsWith('/replays/')) {
      send(response, 200, { ...this.replayViews[0], state: 'cancelled' });
    } else if (path.startsWith('/streams/')) {
      const [, , dataset = '', command = ''] = path.split('/');
      send(response, 200, { dataset, state: STREAM_STATE_AFTER[command] });
    } else if (path.startsWith('/parked-messages/')) {
      this.answerParked(path, response);
    } else {
      const [, , first = '', second] = path.split('/');
      // `POST /jobs/resume` names no job: the newest one is meant.
      const [id, command] =
        second === undefined ? [[...this.jobs.keys()].at(-1) ?? '', first] : [first, second];
      const job = this.jobs.get(id);
      if (job === undefined) send(response, 404, unknownJob(id));
      else this.command(job, command, response);
    }
  }

  /** What the ingestor does to a job, as far as a client can see. */
  private command(job: JobDetail, command: string, response: ServerResponse): void {
    const changed = { ...job, ...COMMANDED[command] };
    this.jobs.set(job.id, changed);
    const { id, dataset, state, discarded } = changed;
    send(response, 202, { id, dataset, state, ...(command === 'cancel' ? { discarded } : {}) });
  }

  private answerGet(url: URL, response: ServerResponse): void {
    const [, kind, id = '', part] = url.pathname.split('/');
    const job = this.jobs.get(id);
    if (kind === 'datasets') send(response, 200, this.datasets);
    else if (kind === 'streams' && id === '') send(response, 200, this.streamViews);
    else if (kind === 'streams' && part === 'hours') send(response, 200, this.hours);
    else if (kind === 'streams')
      send(response, 200, this.streamViews.length > 1 ? this.streamViews.shift() : this.streamViews[0]);
    else if (kind === 'replays' && id === '') this.page(url, this.replays, response);
    else if (kind === 'replays' && part === 'jobs')
      send(response, 200, { items: this.replayJobs, next: null });
    else if (kind === 'replays')
      send(response, 200, this.replayViews.length > 1 ? this.replayViews.shift() : this.replayViews[0]);
    else if (kind === 'jobs' && id === '') this.page(url, [...this.jobs.values()], response);
    else if (kind === 'jobs' && job === undefined) send(response, 404, unknownJob(id));
    else if (kind === 'jobs' && part === 'events') this.stream(id, response);
    else if (kind === 'jobs') send(response, 200, job);
    else if (kind === 'audit') this.page(url, this.audit, response);
    else if (kind === 'parked-messages' && id === '') this.page(url, this.parked, response);
    else if (kind === 'parked-messages') this.answerParked(url.pathname, response);
    else if (kind === 'dead-letters' && id === '') this.page(url, this.letters.map(listed), response);
    else if (kind === 'dead-letters' && id === 'groups') this.groupPage(url, response);
    else if (kind === 'dead-letters' && id === 'export') this.sendExport(response);
    else if (kind === 'dead-letters')
      send(
        response,
        200,
        this.letters.find((letter) => letter.id === `${id}:${part ?? ''}`),
      );
    else send(response, 404, {});
  }

  private sendExport(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/csv' });
    if (this.exported !== null) response.end(this.exported);
    else
      response.write('half', () => {
        response.destroy();
      });
  }

  /** One parked message; `retry` and `skip` decide about it. */
  private answerParked(path: string, response: ServerResponse): void {
    const [, , topic, partition, offset, command] = path.split('/');
    const found = this.parked.find(
      (each) => each.topic === topic && String(each.partition) === partition && each.offset === offset,
    );
    const decided = { retry: 'retried', skip: 'skipped' } as const;
    if (found && command !== undefined)
      send(response, 200, { ...found, state: decided[command as 'retry'], note: '' });
    else if (found) send(response, 200, { ...found, ...PARKED_CONTENT });
    else send(response, 404, { code: 'PARKED_MESSAGE_UNKNOWN', detail: `Message ${path} was not parked.` });
  }

  private stream(id: string, response: ServerResponse): void {
    if (!this.hasEvents) {
      send(response, 404, {});
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\n\n');
    this.streams.set(response, id);
    response.on('close', () => this.streams.delete(response));
  }

  private groupPage(url: URL, response: ServerResponse): void {
    const state = (url.searchParams.get('state') ?? 'open') as 'open';
    url.searchParams.delete('state');
    const hasSome = this.groups.filter(({ counts }) => counts[state] > 0);
    this.page(url, hasSome, response, { ungrouped: this.ungrouped });
  }

  /** Two a page, so that a reader has to turn pages. */
  private page(url: URL, all: readonly object[], response: ServerResponse, more: object = {}): void {
    const wanted = all.filter((item) => fits(item as Record<string, unknown>, url.searchParams));
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const next = from + 2 < wanted.length ? String(from + 2) : null;
    send(response, 200, { items: wanted.slice(from, from + 2), next, ...more });
  }
}

const STREAM_STATE_AFTER: Readonly<Record<string, string>> = {
  ...{ start: 'running', pause: 'paused', resume: 'running', drain: 'draining' },
};

/** What a job looks like after each command. */
const COMMANDED: Readonly<Record<string, Partial<JobDetail>>> = {
  pause: { state: 'paused', pauseReason: 'operator' },
  continue: { state: 'running', pauseReason: null, pauseDetail: null },
  resume: { state: 'running', problem: null, error: null, resumable: false },
  discard: { resumable: false },
  cancel: {
    state: 'cancelled',
    discarded: { loadedBatches: 12, loadedRecords: 50_000, pendingBatches: 4, pendingRecords: 8_000 },
  },
};

function fits(item: Record<string, unknown>, query: URLSearchParams): boolean {
  if (query.get('streams') === 'hidden' && (item['stream'] ?? null) !== null)
    if (!['paused', 'failed'].includes(String(item['state']))) return false;
  return ['dataset', 'job', 'state', 'code', 'group', 'stream'].every((name) => {
    const wanted = query.get(name);
    if (wanted === null) return true;
    return name === 'code' && 'codes' in item
      ? (item['codes'] as string[]).includes(wanted)
      : item[name] === wanted;
  });
}

/** As the tracker lists it: without bytes, its text cut. */
function listed(letter: DeadLetterView): DeadLetterView {
  const { bytesBase64: _bytes, ...rest } = letter;
  return { ...rest, text: letter.text.slice(0, 1000) };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text === '' ? undefined : JSON.parse(text);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
}

function unknownJob(id: string): Problem {
  return problem({ status: 404, code: 'JOB_UNKNOWN', detail: `There is no job ${id}.` });
}

export function problem(facts: Partial<Problem>): Problem {
  return {
    type: 'about:blank',
    title: 'title',
    status: 500,
    detail: 'detail',
    code: 'INTERNAL',
    action: 'action',
    ...facts,
  };
}

export const JOB_ID = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';

/** A job that has just been accepted. */
export function jobDetail(facts: Partial<JobDetail> = {}): JobDetail {
  return {
    id: JOB_ID,
    dataset: 'customers',
    mode: 'replace',
    dryRun: false,
    state: 'queued',
    interrupted: false,
    pauseReason: null,
    pauseDetail: null,
    problem: null,
    wait: null,
    resumable: false,
    discarded: null,
    source: '/data/customers.csv',
    limit: null,
    createdAt: '2026-01-31T12:00:00.000Z',
    startedAt: null,
    finishedAt: null,
    seconds: null,
    counts: null,
    error: null,
    findings: {},
    stages: [],
    step: null,
    deadLetters: { known: 0, expected: null, complete: false },
    ...facts,
  };
}

export function streamView(facts: Partial<StreamView> = {}): StreamView {
  return {
    dataset: 'customers',
    topic: 'sluice.customers.inbox',
    state: 'running',
    reason: null,
    detail: null,
    wait: null,
    since: '2026-01-31T12:00:00.000Z',
    settings: { maxRecords: 20_000, maxBytes: 4_194_304, maxMs: 1_000 },
    attended: true,
    partitions: [{ partition: 0, position: 17, low: 0, high: 20 }],
    lagRecords: 3,
    lagSeconds: 1.4,
    recordsPerSecond: 210,
    jobs: 9,
    records: 12_345,
    jobsInFlight: 1,
    lastJob: null,
    findings: {},
    ...facts,
  };
}

export function datasetView(facts: Partial<DatasetView> = {}): DatasetView {
  return {
    name: 'customers',
    title: 'Customers of the shop',
    format: 'csv',
    writeModes: ['replace', 'append'],
    options: { checksum: ['warn', 'off', 'reject'] },
    defaultSource: null,
    contractVersion: 1,
    build: null,
    fingerprint: '',
    tables: [
      { table: 'customer', rows: 0 },
      { table: 'customer_address', rows: 0 },
    ],
    ...facts,
  };
}

export function deadLetterGroup(facts: Partial<DeadLetterGroupView> = {}): DeadLetterGroupView {
  return {
    id: '89fac0d4-c9b2-32e4-cc6c-7138b78e3309',
    dataset: 'customers',
    code: 'BAD_NUMBER',
    field: 'number',
    shape: '9{7}',
    counts: { open: 12, resubmitted: 0, landed: 0, refusedAgain: 0, discarded: 0 },
    example: `${JOB_ID}:41`,
    ...facts,
  };
}

export function deadLetter(facts: Partial<DeadLetterView> & { readonly record: number }): DeadLetterView {
  const text = facts.text ?? `${facts.record},name`;
  return {
    id: `${facts.job ?? JOB_ID}:${facts.record}`,
    dataset: 'customers',
    job: JOB_ID,
    batch: 0,
    line: facts.record + 2,
    byteStart: 0,
    byteEnd: 10,
    stage: 'validate',
    codes: ['BAD_NUMBER'],
    findings: [{ code: 'BAD_NUMBER', field: 'number', message: 'must be 8 digits', severity: 'error' }],
    sqlstate: null,
    attempt: 1,
    columns: ['number', 'name'],
    message: null,
    text,
    bytesBase64: Buffer.from(text).toString('base64'),
    ...facts,
  };
}
