/**
 * What an operator of AWS sees of Sluice: its log, metrics counted from the log's lines, two alarms by mail, and a dashboard.
 *
 * The services know nothing of AWS. Their lines reach the log group through the platform (standard output) or the CloudWatch
 * agent (files); each line through one of the two, because metric filters count the lines of all streams.
 */
import { ArnFormat, CfnOutput, Duration, LegacyStackSynthesizer, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { STREAMS, logGroupName } from './names.js';

const { GREATER_THAN_OR_EQUAL_TO_THRESHOLD } = cloudwatch.ComparisonOperator;
const { NOT_BREACHING } = cloudwatch.TreatMissingData;
const GRAPH_PERIOD = Duration.minutes(5);

class SluiceStack extends Stack {
  /**
   * @param {import('constructs').Construct} scope
   * @param {string} id
   * @param {import('./settings.js').StackSettings & import('aws-cdk-lib').StackProps} settings
   */
  constructor(scope, id, { environment, mail, retentionDays, ...props }) {
    super(scope, id, { description: `CloudWatch of Sluice, ${environment}`, ...props });
    const group = this.#logGroup(environment, retentionDays);
    const metrics = this.#metrics(group, environment);
    const alarms = this.#alarms(metrics, environment);
    const topic = this.#mailTopic(environment, mail);
    const mails = new SnsAction(topic);
    alarms.jobFailed.addAlarmAction(mails);
    // That no job failed since does not mean that the failed one is repaired: no mail says so.
    alarms.manyErrors.addAlarmAction(mails);
    alarms.manyErrors.addOkAction(mails);
    this.#dashboard(environment, group, metrics, alarms);
    this.#writer(environment, group);
  }

  /** @param {string} environment @param {number} retentionDays */
  #logGroup(environment, retentionDays) {
    const group = new logs.LogGroup(this, 'Logs', {
      logGroupName: logGroupName(environment),
      retention: retentionDays,
      // A stack that is deleted by mistake must not take the log with it.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    for (const [id, logStreamName] of Object.entries(STREAMS))
      new logs.LogStream(this, `Stream-${id}`, {
        logGroup: group,
        logStreamName,
        removalPolicy: RemovalPolicy.RETAIN,
      });
    return group;
  }

  /** Of the lines' fields that docs/operations.md promises. @param {logs.LogGroup} group @param {string} environment */
  #metrics(group, environment) {
    /** @param {string} name @param {string} pattern @param {string} [value] */
    const counted = (name, pattern, value = '1') =>
      new logs.MetricFilter(this, `Filter-${name}`, {
        logGroup: group,
        filterName: name,
        filterPattern: logs.FilterPattern.literal(pattern),
        metricNamespace: `Sluice/${environment}`,
        metricName: name,
        metricValue: value,
        defaultValue: 0,
        unit: cloudwatch.Unit.COUNT,
      }).metric({ statistic: cloudwatch.Stats.SUM, period: GRAPH_PERIOD });
    return {
      errors: counted('Errors', '{ ($.level = "error") || ($.level = "fatal") }'),
      succeeded: counted('JobsSucceeded', '{ $.ended = "succeeded" }'),
      failed: counted('JobsFailed', '{ $.ended = "failed" }'),
      // A job that failed and is resumed ends twice: only its last end counts its records.
      records: counted('Records', '{ ($.ended = "succeeded") && ($.records >= 0) }', '$.records'),
    };
  }

  /** @param {{ errors: cloudwatch.Metric, failed: cloudwatch.Metric }} metrics @param {string} environment */
  #alarms({ errors, failed }, environment) {
    const once = {
      comparisonOperator: GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: 1,
      treatMissingData: NOT_BREACHING,
    };
    return {
      jobFailed: new cloudwatch.Alarm(this, 'JobFailed', {
        ...once,
        alarmName: `sluice-${environment}-job-failed`,
        alarmDescription:
          'A job failed; its tables are as they were before it. `npx sluice jobs` names it, `npx sluice job <id>` says why.',
        // Short, so that the next failed job soon has a mail of its own.
        metric: failed.with({ period: Duration.minutes(1) }),
        threshold: 1,
      }),
      manyErrors: new cloudwatch.Alarm(this, 'ManyErrors', {
        ...once,
        alarmName: `sluice-${environment}-many-errors`,
        alarmDescription:
          'Five or more lines of level error or fatal in five minutes: each of them asks an operator to act.',
        metric: errors.with({ period: Duration.minutes(5) }),
        threshold: 5,
      }),
    };
  }

  /** @param {string} environment @param {string} mail */
  #mailTopic(environment, mail) {
    const topic = new sns.Topic(this, 'Mails', {
      topicName: `sluice-${environment}-alarms`,
      displayName: `Sluice ${environment}`,
      enforceSSL: true,
    });
    topic.addSubscription(new EmailSubscription(mail));
    // A topic with a policy of its own has no default one, so the alarms are named.
    topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsOfThisSystem',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: {
          StringEquals: { 'aws:SourceAccount': this.account },
          ArnLike: {
            'aws:SourceArn': this.formatArn({
              service: 'cloudwatch',
              resource: 'alarm',
              arnFormat: ArnFormat.COLON_RESOURCE_NAME,
              resourceName: `sluice-${environment}-*`,
            }),
          },
        },
      }),
    );
    return topic;
  }

  /**
   * @param {string} environment
   * @param {logs.LogGroup} group
   * @param {Record<'errors' | 'succeeded' | 'failed' | 'records', cloudwatch.Metric>} metrics
   * @param {Record<'jobFailed' | 'manyErrors', cloudwatch.Alarm>} alarms
   */
  #dashboard(environment, group, { errors, succeeded, failed, records }, { jobFailed, manyErrors }) {
    const half = { width: 12, height: 6, leftYAxis: { min: 0, showUnits: false } };
    new cloudwatch.Dashboard(this, 'Dashboard', {
      dashboardName: `Sluice-${environment}`,
      defaultInterval: Duration.days(1),
      // A wider range keeps the five minutes that the titles promise.
      periodOverride: cloudwatch.PeriodOverride.INHERIT,
      widgets: [
        [
          new cloudwatch.GraphWidget({
            ...half,
            title: 'Errors in 5 minutes',
            left: [errors.with({ label: 'lines of level error or fatal', color: cloudwatch.Color.RED })],
            leftAnnotations: [manyErrors.toAnnotation()],
          }),
          new cloudwatch.GraphWidget({
            ...half,
            title: 'Ends of jobs in 5 minutes',
            left: [
              succeeded.with({ label: 'succeeded', color: cloudwatch.Color.GREEN }),
              failed.with({ label: 'failed', color: cloudwatch.Color.RED }),
            ],
            stacked: true,
          }),
        ],
        [
          new cloudwatch.GraphWidget({
            ...half,
            title: 'Records processed in 5 minutes',
            left: [records.with({ label: 'records of jobs that succeeded' })],
          }),
          new cloudwatch.AlarmStatusWidget({
            width: 12,
            height: 6,
            title: 'Alarm states',
            alarms: [jobFailed, manyErrors],
          }),
        ],
        [
          new cloudwatch.LogQueryWidget({
            width: 24,
            height: 9,
            title: 'Recent failures and dead letters',
            logGroupNames: [group.logGroupName],
            queryLines: [
              'fields @timestamp, service, dataset, job, level, ended, code, refused, msg',
              'filter level in ["error", "fatal"] or ended = "failed" or refused > 0',
              'sort @timestamp desc',
              'limit 100',
            ],
            view: cloudwatch.LogQueryVisualizationType.TABLE,
          }),
        ],
      ],
    });
  }

  /**
   * For the role of whatever ships lines: the agent's host, or the platform that runs the services. It may write to this
   * group alone, and can read no line, change no retention and make no other group.
   * @param {string} environment
   * @param {logs.LogGroup} group
   */
  #writer(environment, group) {
    const writer = new iam.ManagedPolicy(this, 'Writer', {
      managedPolicyName: `sluice-${environment}-log-writer`,
      description: `Writes lines to ${logGroupName(environment)}`,
      statements: [
        new iam.PolicyStatement({
          actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
          // With `:*`, so it names the streams of the group.
          resources: [group.logGroupArn],
        }),
      ],
    });
    new CfnOutput(this, 'WriterPolicy', {
      description: 'To be attached to the role that ships the log',
      value: writer.managedPolicyArn,
    });
  }
}

/**
 * The stack as `cdk deploy` and the tests have it. It has no assets, so an account needs no `cdk bootstrap` for it.
 * @param {import('constructs').Construct} app
 * @param {import('./settings.js').StackSettings} settings
 */
export function makeStack(app, settings) {
  return new SluiceStack(app, `sluice-${settings.environment}`, {
    ...settings,
    synthesizer: new LegacyStackSynthesizer(),
  });
}
