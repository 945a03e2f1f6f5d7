/** deploy/aws/template.json against what the services log. `npm run aws:synth` compares it with the code that makes it. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import type { Logger } from 'pino';
import type { JobCounts } from '#api/job-facts.js';
import { alsoTo, loggerTo } from '#common/telemetry/logger.js';
import { openLogFiles } from '#common/telemetry/log-files.js';
import type { AnnouncedJob } from '#core/job/announce-lease.js';
import { logEnd } from '../../apps/loader/src/announce/end-line.js';
import { type MetricFilter, awsFile, metricsOf, resourcesOf } from './cloudwatch-template.js';
import { filterPattern } from './filter-pattern.js';

const GROUP = '/sluice/production';
const SERVICES = ['ingestor', 'validator', 'loader', 'tracker'];

type Line = Readonly<Record<string, unknown>>;

/** What a service's logger writes, parsed. */
function logged(write: (logger: Logger) => void): Line[] {
  const texts: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      texts.push(chunk.toString());
      done();
    },
  });
  write(loggerTo(stream, 'loader', 'info'));
  return texts.map((text) => JSON.parse(text) as Line);
}

const COUNTS: JobCounts = {
  ...{ read: 1_000, accepted: 990, refused: 7, refusedAtValidate: 6, refusedAtLoad: 1, skipped: 4 },
  ...{ loaded: 980, inserted: 980, updated: 0, unchanged: 0, deleted: 0, superseded: 9, warnings: 0 },
};

function ended(state: AnnouncedJob['state'], more: Partial<AnnouncedJob> = {}): AnnouncedJob {
  return { id: 'j', dataset: 'd', state, end: true, refusals: false, counts: COUNTS, code: null, ...more };
}

describe('the log group', () => {
  it('is one, with a stream for the console and one for files, and lines that are deleted after the retention', () => {
    const [group, ...others] = resourcesOf<{ LogGroupName: string; RetentionInDays: number }>(
      'AWS::Logs::LogGroup',
    );
    expect({ group, others }).toMatchObject({
      group: { LogGroupName: GROUP, RetentionInDays: 90 },
      others: [],
    });
    const streams = resourcesOf<{ LogGroupName: unknown; LogStreamName: string }>('AWS::Logs::LogStream');
    expect(streams.map(({ LogStreamName }) => LogStreamName).sort()).toEqual(['console', 'file']);
    for (const { LogGroupName } of streams) expect(LogGroupName).toEqual({ Ref: group?.id });
  });

  it('can be written, and nothing else can be done, with the policy of the writer', () => {
    const [group] = resourcesOf('AWS::Logs::LogGroup');
    const policies = resourcesOf<{ PolicyDocument: { Statement: unknown } }>('AWS::IAM::ManagedPolicy');
    expect(policies.map(({ PolicyDocument }) => PolicyDocument.Statement)).toEqual([
      [
        {
          Effect: 'Allow',
          Action: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
          Resource: { 'Fn::GetAtt': [group?.id, 'Arn'] },
        },
      ],
    ]);
    for (const type of ['AWS::IAM::Role', 'AWS::IAM::User', 'AWS::IAM::Policy'])
      expect(resourcesOf(type)).toEqual([]);
  });
});

describe('the metrics', () => {
  it('count the lines of errors, and no others', () => {
    const lines = logged((logger) => {
      logger.error({ err: new Error('no') }, 'stuck');
      logger.child({ job: 'j' }).fatal('ending');
      logger.warn({ err: new Error('error') }, 'the level is "error"');
      logger.info({ ended: 'no state', level: 'info' }, 'fatal error');
    });
    expect(metricsOf(lines)).toEqual({ Errors: 2, JobsSucceeded: 0, JobsFailed: 0, Records: 0 });
  });

  it('count each end of a job by its state, and the records of those that succeeded', () => {
    const lines = logged((logger) => {
      logEnd(logger, ended('succeeded'));
      logEnd(logger, ended('succeeded', { counts: { ...COUNTS, read: 0 } }));
      logEnd(logger, ended('failed', { code: 'JOB_SHRINKS' }));
      logEnd(logger, ended('cancelled'));
    });
    expect(metricsOf(lines)).toEqual({ Errors: 0, JobsSucceeded: 2, JobsFailed: 1, Records: 1_000 });
    expect(lines.map(({ ended, level, code }) => [ended, level, code])).toEqual([
      ['succeeded', 'info', undefined],
      ['succeeded', 'info', undefined],
      ['failed', 'warn', 'JOB_SHRINKS'],
      ['cancelled', 'info', undefined],
    ]);
    expect(lines[0]).toMatchObject({
      ...{ job: 'j', dataset: 'd', msg: 'the job has ended' },
      ...{ records: 1_000, loaded: 980, refused: 7, superseded: 9 },
    });
  });

  it('have a unit, and are 0 while other lines come, so that a graph has no holes', () => {
    const made = resourcesOf<MetricFilter>('AWS::Logs::MetricFilter').flatMap(
      ({ MetricTransformations }) => MetricTransformations,
    );
    for (const metric of made)
      expect(metric).toMatchObject({
        MetricNamespace: 'Sluice/production',
        DefaultValue: 0,
        Unit: 'Count',
      });
    expect(made.map(({ MetricName }) => MetricName)).toEqual([
      ...['Errors', 'JobsSucceeded', 'JobsFailed', 'Records'],
    ]);
  });
});

describe('the alarms', () => {
  const alarms = resourcesOf<Record<string, unknown>>('AWS::CloudWatch::Alarm');
  const alarm = (name: string): unknown => alarms.find(({ AlarmName }) => AlarmName === name);
  const [topic] = resourcesOf('AWS::SNS::Topic');
  const mail = [{ Ref: topic?.id }];
  const always = {
    Namespace: 'Sluice/production',
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    EvaluationPeriods: 1,
    Statistic: 'Sum',
    TreatMissingData: 'notBreaching',
  };

  it('are two: a job that failed within a minute, and five errors within five', () => {
    expect(alarms).toHaveLength(2);
    expect(alarm('sluice-production-job-failed')).toMatchObject({
      ...{ ...always, MetricName: 'JobsFailed', Period: 60, Threshold: 1, AlarmActions: mail },
    });
    expect(alarm('sluice-production-job-failed')).not.toHaveProperty('OKActions');
    expect(alarm('sluice-production-many-errors')).toMatchObject({
      ...{ ...always, MetricName: 'Errors', Period: 300, Threshold: 5, AlarmActions: mail, OKActions: mail },
    });
  });

  it('may alone publish to the topic, which sends mail', () => {
    const subscriptions = resourcesOf('AWS::SNS::Subscription');
    expect(subscriptions).toMatchObject([
      { Protocol: 'email', Endpoint: 'operations@example.com', TopicArn: { Ref: topic?.id } },
    ]);
    const policies = resourcesOf<{ PolicyDocument: { Statement: { Effect: string }[] } }>(
      'AWS::SNS::TopicPolicy',
    );
    const allowed = policies
      .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
      .filter(({ Effect }) => Effect === 'Allow');
    expect(allowed).toMatchObject([
      {
        Action: 'sns:Publish',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
      },
    ]);
    expect(JSON.stringify(allowed)).toContain(':alarm:sluice-production-*"');
  });
});

describe('the dashboard', () => {
  const [dashboard] = resourcesOf<{ DashboardBody: { 'Fn::Join': [string, unknown[]] } }>(
    'AWS::CloudWatch::Dashboard',
  );
  /** References are filled in with what they name. */
  const parts = dashboard?.DashboardBody['Fn::Join'][1] ?? [];
  const body = JSON.parse(
    parts
      .map((part) => (typeof part === 'string' ? part : JSON.stringify(part).replaceAll('"', '')))
      .join(''),
  ) as { widgets: { type: string; properties: Record<string, unknown> }[]; periodOverride: string };
  const properties = (title: string): Record<string, unknown> | undefined =>
    body.widgets.find((widget) => widget.properties['title'] === title)?.properties;

  it('has five widgets, as the page says', () => {
    expect(body.widgets.map(({ type, properties }) => [type, properties['title']])).toEqual([
      ['metric', 'Errors in 5 minutes'],
      ['metric', 'Ends of jobs in 5 minutes'],
      ['metric', 'Records processed in 5 minutes'],
      ['alarm', 'Alarm states'],
      ['log', 'Recent failures and dead letters'],
    ]);
    expect(body.periodOverride).toBe('inherit');
  });

  it('shows metrics that the filters make, each of them, and both alarms', () => {
    const shown = body.widgets.flatMap((widget) => (widget.properties['metrics'] ?? []) as unknown[][]);
    const made = Object.keys(metricsOf([])).map((name) => ['Sluice/production', name]);
    expect(shown.map(([namespace, name]) => [namespace, name])).toEqual(made);
    expect(properties('Alarm states')?.['alarms']).toHaveLength(2);
  });

  it('asks the log for fields that its lines have', () => {
    const query = String(properties('Recent failures and dead letters')?.['query']);
    const [line = {}] = logged((logger) => {
      logEnd(logger, ended('failed', { code: 'JOB_SHRINKS' }));
    });
    const asked = /fields (.*)/.exec(query)?.[1]?.split(', ') ?? [];
    expect(asked).toHaveLength(9);
    expect(asked.filter((name) => !name.startsWith('@') && !(name in line))).toEqual([]);
    expect(query).toContain('filter level in ["error", "fatal"] or ended = "failed" or refused > 0');
    expect(query.startsWith(`SOURCE '{Ref:${String(resourcesOf('AWS::Logs::LogGroup')[0]?.id)}}'`)).toBe(
      true,
    );
  });
});

describe('the configuration of the agent', () => {
  const { logs } = awsFile('agent.json') as {
    logs: { logs_collected: { files: { collect_list: Record<string, string>[] } } };
  };
  const collected = logs.logs_collected.files.collect_list;

  it('reads of each service the file that has every line, and no line twice', async () => {
    expect(collected.map((each) => each['log_group_name'])).toEqual(SERVICES.map(() => GROUP));
    const folder = mkdtempSync(join(tmpdir(), 'sluice-agent-'));
    try {
      for (const [at, service] of SERVICES.entries()) {
        const files = await openLogFiles(service, { folder, maxFileBytes: 1_024, files: 2 }, () => undefined);
        loggerTo(alsoTo({ write: () => undefined }, files), service, 'info').error('in both files');
        const [name = '', ...folders] = collected[at]?.['file_path']?.split('/').reverse() ?? [];
        expect(folders[0]).toBe(service);
        const pattern = new RegExp(`^${name.replaceAll('.', '\\.').replace('*', '[^/]*')}$`);
        const read = readdirSync(folder).filter((file) => pattern.test(file));
        expect(read).toEqual([`${service}.1.log`]);
        expect(readFileSync(join(folder, String(read[0])), 'utf8')).toContain('in both files');
        expect(readdirSync(folder)).toContain(`${service}-errors.1.log`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('finds the time of a line', () => {
    const [line = {}] = logged((logger) => {
      logger.info('started');
    });
    const fields = {
      '%Y': '\\d{4}',
      '%m': '\\d{2}',
      '%d': '\\d{2}',
      '%H': '\\d{2}',
      '%M': '\\d{2}',
      '%S': '\\d{2}',
    };
    const format = (collected[0]?.['timestamp_format'] ?? '').replaceAll('.', '\\.');
    const pattern = format.replace(
      /%\w/g,
      (part) => Reflect.get({ ...fields, '%f': '\\d{1,9}' }, part) as string,
    );
    const found = new RegExp(pattern).exec(JSON.stringify(line))?.[0];
    expect(`${String(found)}Z`).toBe(line['time']);
    expect(collected.every(({ timezone }) => timezone === 'UTC')).toBe(true);
  });
});

describe('a filter pattern', () => {
  it.each<[string, Line, boolean]>([
    ['{ $.a = "x" }', { a: 'x' }, true],
    ['{ $.a = "x" }', { a: 'X' }, false],
    ['{ $.a = "x" }', {}, false],
    ['{ $.a != "x" }', { a: 'y' }, true],
    ['{ $.a != "x" }', {}, false],
    ['{ $.a.b >= 2 }', { a: { b: 2 } }, true],
    ['{ $.a.b >= 2 }', { a: { b: '3' } }, false],
    ['{ ($.a = 1) || ($.b = 1) && ($.c = 1) }', { a: 1 }, true],
    ['{ (($.a = 1) || ($.b = 1)) && ($.c = 1) }', { a: 1 }, false],
  ])('%s of %j: %s', (pattern, line, expected) => {
    expect(filterPattern(pattern)(line)).toBe(expected);
  });

  it.each([
    'ERROR',
    '{ $.a = x }',
    '{ $.a "x" }',
    '{ $.a > "x" }',
    '{ $.a = 1',
    '{ $.a = 1 } 2',
    '{ $.a IS NULL }',
  ])('%s is refused', (pattern) => {
    expect(() => filterPattern(pattern)).toThrow(pattern);
  });
});
