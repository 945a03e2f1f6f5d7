import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { TraceLine, TraceView, TracedRecord } from '#api/trace.js';
import { ApiServer, JOB_ID, datasetView } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

const LATER = '01998f41-0000-7000-8000-3f5b8e2d9a11';

function record(facts: Partial<TracedRecord> = {}): TracedRecord {
  return {
    ...{ job: JOB_ID, record: 10, line: 1_012, is: 'record', version: null, rows: null, message: null },
    raw: { topic: 'sluice.customers.raw', partition: 0, offset: '3' },
    ...{ fate: 'in-table', supersededBy: null, deadLetter: null },
    ...facts,
  };
}

function view(facts: Partial<TraceView> = {}): TraceView {
  return {
    ...{ dataset: 'customers', key: { number: 'C-1' }, verdict: 'in-table', removedBy: null },
    row: { table: 'public.customer', isThere: true, version: '4', rows: null, provenance: { line: '1012' } },
    records: [record()],
    jobs: [
      {
        ...{
          id: JOB_ID,
          state: 'succeeded',
          mode: 'upsert',
          dryRun: false,
          source: '/data/mon\u001b[2J.csv',
        },
        ...{
          contractVersion: 3,
          createdAt: '2026-11-28T09:00:00.000Z',
          finishedAt: '2026-11-28T09:00:05.000Z',
        },
      },
    ],
    history: {
      ...{ isComplete: true, batches: 214, unreadable: 0, withoutKey: 0, leftOut: 0 },
      ...{ deadLettersWithoutKey: 0, unknownJobs: 0 },
      ...{ oldest: '2026-11-16T08:12:44.000Z', deleted: { jobs: 0, batches: 0, records: 0 } },
    },
    ...facts,
  };
}

describe('sluice trace', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    api.datasets = [datasetView({ name: 'customers' })];
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });

  afterEach(() => api.close());

  const answers = (...lines: readonly TraceLine[]): void => {
    api.traceLines = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  };

  it('prints the answer, every record with its fate, and how far the search went', async () => {
    answers({ progress: { searched: 0, of: 9, found: 0 } }, { trace: view() });
    expect(await cli.run('trace', 'customers', 'C-1')).toBe(0);
    expect(cli.stdout.text).toBe(
      [
        'customers: number "C-1"',
        'The row is in the table.',
        'public.customer: version "4", line "1012"',
        `line 1,012, record 10 of job ${JOB_ID} (upsert, succeeded 2026-11-28 09:00:05, contract 3, /data/mon\\u001b[2J.csv)`,
        '  loaded: it is the row',
        '',
        'Searched 214 batches of the raw topic, which begins at 2026-11-16 08:12:44, and all dead letters.',
        '',
      ].join('\n'),
    );
    expect(cli.stderr.text).toBe('');
    expect(api.posted).toMatchObject([{ path: '/traces', body: { dataset: 'customers', key: ['C-1'] } }]);
  });

  it('words each fate', async () => {
    const by = (why: NonNullable<TracedRecord['supersededBy']>['why'], number: number | null = 3) =>
      record({ fate: 'superseded', supersededBy: { why, job: LATER, record: number } });
    const findings = [
      { code: 'BAD_PRICE', field: 'price', message: 'price must be a number', severity: 'error' as const },
    ];
    const deadLetter = {
      id: `${JOB_ID}:10`,
      stage: 'validate' as const,
      codes: ['BAD_PRICE'],
      findings,
      state: 'open' as const,
    };
    const records = [
      by('later-record'),
      by('later-job'),
      by('newer-version'),
      by('existing-row'),
      by('delete'),
      by('replaced'),
      by('replaced', null),
      record({ fate: 'refused', deadLetter }),
      record({ fate: 'refused', is: 'mention' }),
      record({ fate: 'deleted', is: 'delete', version: '4' }),
      record({ fate: 'no-row-to-delete', is: 'delete' }),
      record({ fate: 'job-failed' }),
      record({ fate: 'job-cancelled' }),
      record({ fate: 'job-active', rows: 2 }),
      record({ fate: 'dry-run', message: { topic: 'sluice.customers.inbox', partition: 1, offset: '9' } }),
      record({ fate: 'job-unknown', job: LATER }),
    ];
    answers({ trace: view({ records }) });
    await cli.run('trace', 'customers', 'C-1');
    const lines = cli.stdout.text.split('\n').filter((line) => /^ {2}\S/.test(line));
    expect(lines).toEqual(
      [
        `superseded: a later record of its job has the key, record 3 of job ${LATER}`,
        `superseded: a later job has the key, record 3 of job ${LATER}`,
        `superseded: another record has a newer version, record 3 of job ${LATER}`,
        `superseded: append changes no row that is there, record 3 of job ${LATER}`,
        `superseded: deleted by record 3 of job ${LATER}`,
        `superseded: replaced by the snapshot, record 3 of job ${LATER}`,
        `superseded: the snapshot of job ${LATER} does not have the key`,
        `refused at validate, dead letter ${JOB_ID}:10 (open)`,
        'refused',
        'took the row away',
        'found no row to delete',
        'not visible: its job failed',
        'not visible: its job was cancelled',
        'not visible yet: its job is active',
        'not visible: its job is a dry run',
        'its job is not known any more',
      ].map((text) => `  ${text}`),
    );
    expect(cli.stdout.text).toContain('    BAD_PRICE  price must be a number\n');
    expect(cli.stdout.text).toContain('; cannot be read, and mentions the key\n');
    expect(cli.stdout.text).toContain('; a delete; version "4"\n');
    expect(cli.stdout.text).toContain('; 2 such rows\n');
    expect(cli.stdout.text).toContain('; message sluice.customers.inbox/1/9\n');
  });

  it('says what is not known, and shows the newest records of many', async () => {
    const history = {
      ...view().history,
      ...{ isComplete: false, unreadable: 1, withoutKey: 2, leftOut: 1_000, oldest: null, batches: 1 },
      ...{ deadLettersWithoutKey: 3, unknownJobs: 2, deleted: { jobs: 3, batches: 40, records: 1 } },
    };
    const row = { ...view().row, isThere: null };
    answers({ trace: view({ history, row, records: Array.from({ length: 53 }, () => record()) }) });
    await cli.run('trace', 'customers', 'C-1');
    expect(cli.stdout.text).toContain('By what was found, the row is in the table.\n');
    expect(cli.stdout.text).toContain('public.customer cannot be read by the tracker, or is not there.\n');
    expect(cli.stdout.text).toContain('… 3 earlier records; --json has all\n');
    expect(cli.stdout.text.slice(cli.stdout.text.indexOf('\nSearched'))).toBe(
      [
        '',
        'Searched 1 batch of the raw topic, which holds nothing, and all dead letters.',
        'Of 3 visible jobs 40 batches with 1 record are deleted there: what they held is not known.',
        '1 message there cannot be read.',
        '2 batches there do not have the fields of the key.',
        '3 dead letters do not have the fields of the key.',
        '2 jobs with the key are not known any more: whether their records became visible is not known.',
        '1,000 older records with the key are left out.',
        'The history is not complete.',
        '',
      ].join('\n'),
    );
  });

  it('asks for a child row, a job and times, and refuses what is none', async () => {
    answers({ trace: view() });
    await cli.run(
      ...['trace', 'customers', '--row', 'item.sku=a=b', '--row', 'item.place=1', '--job', JOB_ID],
      ...['--from', '2026-11-28', '--to', '2026-11-29T08:00:00+08:00', '--', '-5', 'x'],
    );
    expect(api.posted.at(-1)?.body).toEqual({
      ...{ dataset: 'customers', key: ['-5', 'x'], job: JOB_ID },
      row: { table: 'item', values: { sku: 'a=b', place: '1' } },
      ...{ from: '2026-11-28T00:00:00.000Z', to: '2026-11-29T00:00:00.000Z' },
    });
    expect(await cli.run('trace', 'customers', 'x', '--row', 'sku=1')).toBe(2);
    expect(await cli.run('trace', 'customers', 'x', '--row', 'a.b=1', '--row', 'c.b=1')).toBe(2);
    expect(await cli.run('trace', 'customers', 'x', '--from', '5')).toBe(2);
    expect(await cli.run('trace', 'customers')).toBe(2);
    expect(await cli.run('trace', 'nobody', 'x')).toBe(2);
  });

  it('prints one JSON object, of an answer, of an error, and of a trace that breaks off', async () => {
    const json = async (): Promise<unknown> => {
      cli.stdout.text = '';
      const code = await cli.run('trace', 'customers', 'C-1', '--json');
      return [code, JSON.parse(cli.stdout.text)];
    };
    answers({ trace: view() });
    expect(await json()).toEqual([0, { ok: true, ...view() }]);
    answers({ error: { code: 'TOPIC_MISSING', message: 'There is no such topic.' } });
    expect(await json()).toMatchObject([
      1,
      { ok: false, error: { code: 'TOPIC_MISSING', todo: expect.any(String) } },
    ]);
    answers({ progress: { searched: 1, of: 2, found: 0 } });
    expect(await json()).toMatchObject([4, { ok: false, error: { code: 'SYSTEM_UNREACHABLE' } }]);
    api.traceLines = 'hello\n';
    expect(await json()).toMatchObject([4, { ok: false, error: { code: 'SYSTEM_UNREACHABLE' } }]);
  });

  it('shows progress on a terminal, and takes it away', async () => {
    answers({ progress: { searched: 1_500, of: 9_000, found: 2 } }, { trace: view() });
    cli.onTerminal();
    expect(await cli.run('trace', 'customers', 'C-1')).toBe(0);
    expect(cli.stderr.text).toMatch(/^\rsearched 1,500 of 9,000 batches, found 2\r +\r$/);
  });
});
