/** What only the CDK can check: `npm run aws:synth`. What the committed template says is checked by `npm test`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { committedFiles, EXAMPLE, exampleTemplate } from './committed.js';
import { stackSettings } from './settings.js';
import { makeStack } from './sluice-stack.js';

const template = exampleTemplate();

for (const [name, text] of Object.entries(committedFiles(template))) {
  test(`${name} is what the code makes now`, () => {
    assert.equal(
      readFileSync(join(import.meta.dirname, name), 'utf8'),
      text,
      `${name} is stale: npm run aws:synth -- --write`,
    );
  });
}

test('there is one of each, four filters and two alarms', () => {
  const counts = {
    'AWS::Logs::LogGroup': 1,
    'AWS::Logs::LogStream': 2,
    'AWS::Logs::MetricFilter': 4,
    'AWS::CloudWatch::Alarm': 2,
    'AWS::CloudWatch::Dashboard': 1,
    'AWS::SNS::Topic': 1,
    'AWS::SNS::Subscription': 1,
    'AWS::IAM::ManagedPolicy': 1,
  };
  for (const [type, count] of Object.entries(counts)) template.resourceCountIs(type, count);
  Annotations.fromStack(makeStack(new App(), EXAMPLE)).hasNoWarning('*', Match.anyValue());
});

test('context parameters reach the names, the retention and the subscription', () => {
  const settings = { environment: 'trial', mail: 'someone@example.org', retentionDays: 7 };
  const resources = JSON.stringify(exampleTemplate(settings).toJSON());
  assert.match(resources, /"LogGroupName":"\/sluice\/trial","RetentionInDays":7/);
  assert.match(resources, /"Endpoint":"someone@example.org"/);
  assert.doesNotMatch(resources, /production/);
});

test('context parameters of the command line are text, and numbers of cdk.json are numbers', () => {
  for (const retentionDays of ['30', 30]) {
    const given = { ...EXAMPLE, retentionDays };
    assert.deepEqual(
      stackSettings((name) => Reflect.get(given, name)),
      { ...EXAMPLE, retentionDays: 30 },
    );
  }
});

for (const [name, values] of Object.entries({
  environment: [undefined, '', 'Production', 'a b', '-a', 'a'.repeat(32)],
  mail: [undefined, '', 'operations', 'a b@example.com'],
  retentionDays: [undefined, '', 'never', 0, 31, '30.5'],
})) {
  test(`a wrong ${name} is refused with what it has to be`, () => {
    for (const value of values) {
      const given = { ...EXAMPLE, [name]: value };
      assert.throws(
        () => stackSettings((parameter) => Reflect.get(given, parameter)),
        { message: new RegExp(`^The context parameter ${name} must be .*--context ${name}=`) },
        `${name}=${value}`,
      );
    }
  });
}
