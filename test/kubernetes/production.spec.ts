import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { parse } from 'yaml';
import { CONSUMER_GROUPS, topicOf } from '#core/message/topics.js';
import { ROOT } from '../docs/markdown-files.js';
import { documentedAcls, documentedUsers } from '../support/documented-rights.js';
import { objectsOf, renderedOverlays } from './rendered.js';

interface Behavior {
  readonly scaleDown: {
    readonly stabilizationWindowSeconds: number;
    readonly policies: readonly { readonly type: string; readonly value: number }[];
  };
}
interface Scaled {
  readonly scaleTargetRef: { readonly name: string };
  readonly minReplicaCount: number;
  readonly maxReplicaCount: number;
  readonly fallback: object;
  readonly advanced: { readonly horizontalPodAutoscalerConfig: { readonly behavior: Behavior } };
  readonly triggers: readonly {
    readonly authenticationRef: { readonly name: string };
    readonly metadata: Readonly<Record<string, string>>;
  }[];
}
interface Autoscaler {
  readonly scaleTargetRef: { readonly name: string };
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly behavior: Behavior;
}
interface User {
  readonly authorization: {
    readonly acls: readonly {
      readonly resource: { readonly type: string; readonly name: string; readonly patternType: string };
      readonly operations: readonly string[];
    }[];
  };
}

const DATASET = 'tax-registration';
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('alert rules for the Prometheus operator', () => {
  it('are those of alerts/sluice.rules.yml; `npm run k8s:rules` writes them', () => {
    const [object] = objectsOf('k8s/components/monitoring/rules.yaml');
    expect(object?.spec).toEqual(parse(read('alerts/sluice.rules.yml')));
  });
});

describe('the example for Strimzi', () => {
  const users = objectsOf('k8s/examples/strimzi.yaml').filter(({ kind }) => kind === 'KafkaUser');
  const sluice = documentedUsers().map(({ name }) => name);

  it('has the users of docs/operations.md, and one for KEDA that may only describe', () => {
    expect(users.map(({ metadata }) => metadata.name).sort()).toEqual([...sluice, 'sluice-keda'].sort());
    const keda = users.find(({ metadata }) => metadata.name === 'sluice-keda') as unknown as { spec: User };
    const operations = keda.spec.authorization.acls.flatMap((acl) => acl.operations);
    expect(new Set(operations)).toEqual(new Set(['Describe']));
  });

  it.each(sluice)('%s: its ACLs are those of docs/operations.md', (name) => {
    const user = users.find(({ metadata }) => metadata.name === name) as unknown as { spec: User };
    const given = user.spec.authorization.acls.flatMap(({ resource, operations }) =>
      operations.map((operation) => [
        kafkajs.AclResourceTypes[upper(resource.type) as 'TOPIC'],
        resource.name,
        resource.patternType === 'prefix'
          ? kafkajs.ResourcePatternTypes.PREFIXED
          : kafkajs.ResourcePatternTypes.LITERAL,
        kafkajs.AclOperationTypes[upper(operation) as 'READ'],
      ]),
    );
    const wanted = documentedAcls(name, DATASET).map((acl) => [
      ...[acl.resourceType, acl.resourceName, acl.resourcePatternType, acl.operation],
    ]);
    expect(given.map(String).sort()).toEqual(wanted.map(String).sort());
  });
});

for (const overlay of renderedOverlays().filter(({ name }) => name === 'production')) {
  const partitions = Number(
    overlay
      .workloads()
      .find(({ name }) => name === 'sluice-migrate')!
      .pod.containers[0].env.find(({ name }) => name === 'SLUICE_TOPIC_PARTITIONS')?.value,
  );
  const config = overlay.find('ConfigMap', 'sluice').data ?? {};

  describe('scaling in the overlay production', () => {
    it.each([
      ['validator', CONSUMER_GROUPS.validate, topicOf(DATASET, 'raw')],
      ['loader', CONSUMER_GROUPS.load, topicOf(DATASET, 'clean')],
    ])('%s: by the lag of its group, bounded by the partitions', (name, consumerGroup, topic) => {
      const { spec } = overlay.find<Scaled>('ScaledObject', `sluice-${name}`);
      expect(spec.scaleTargetRef.name).toBe(`sluice-${name}`);
      expect(spec.maxReplicaCount).toBeLessThanOrEqual(partitions);
      expect(spec.fallback).toMatchObject({ behavior: 'currentReplicasIfHigher' });
      expect(spec.triggers.map(({ metadata }) => metadata)).toEqual([
        expect.objectContaining({
          ...{ consumerGroup, topic, limitToPartitionsWithLag: 'true' },
          bootstrapServers: config['KAFKA_BROKERS'],
          ...{ tls: 'enable', sasl: 'scram_sha512' },
        }),
      ]);
      for (const { authenticationRef } of spec.triggers)
        overlay.find('TriggerAuthentication', authenticationRef.name);
      expectSlow(spec.advanced.horizontalPodAutoscalerConfig.behavior);
    });

    it.each(['ingestor', 'tracker'])('%s: by CPU time', (name) => {
      const { spec } = overlay.find<Autoscaler>('HorizontalPodAutoscaler', `sluice-${name}`);
      expect(spec.scaleTargetRef.name).toBe(`sluice-${name}`);
      expect(spec.minReplicas).toBeGreaterThan(1);
      expect(spec.maxReplicas).toBeLessThanOrEqual(partitions);
      expectSlow(spec.behavior);
    });

    it('no Deployment names a number of pods, which an apply would set again', () => {
      const deployments = overlay.all('Deployment');
      expect(deployments).toHaveLength(4);
      expect(deployments.filter(({ spec }) => spec.replicas !== undefined)).toEqual([]);
    });
  });

  describe('the overlay production', () => {
    it('encrypts what goes to Kafka, and logs in', () => {
      expect(config).toMatchObject({
        ...{ KAFKA_TLS: 'on', KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', SLUICE_ACCESS: 'token' },
        KAFKA_PASSWORD_FILE: expect.any(String),
      });
    });

    it('has each service scraped, with the label `service` as the service says it', () => {
      const { spec } = overlay.find<{ selector: { matchLabels: object }; endpoints: object[] }>(
        'ServiceMonitor',
        'sluice',
      );
      const services = overlay
        .all('Service')
        .filter(({ metadata }) => metadata.labels?.['sluice'] === 'service');
      expect(services).toHaveLength(4);
      expect(spec.selector.matchLabels).toEqual({ sluice: 'service' });
      expect(spec.endpoints).toEqual([
        expect.objectContaining({ port: 'http', path: '/metrics', honorLabels: true }),
      ]);
    });

    it('accepts the hosts of its Ingress, all of which have TLS', () => {
      const { spec } = overlay.find<{
        tls: { hosts: string[] }[];
        rules: { host: string; http: { paths: { backend: { service: { name: string } } }[] } }[];
      }>('Ingress', 'sluice');
      expect(spec.rules.map(({ host }) => host)).toEqual(spec.tls.flatMap(({ hosts }) => hosts));
      for (const { host, http } of spec.rules) {
        const [path] = http.paths;
        const { pod } = overlay.workloads().find(({ name }) => name === path?.backend.service.name)!;
        const allowed = pod.containers[0].env.find(({ name }) => name === 'SLUICE_ALLOWED_HOSTS')?.value;
        expect(allowed?.split(',')).toContain(host);
      }
    });
  });
}

/** Every pod that leaves stops its whole group for a rebalance. */
function expectSlow({ scaleDown: { stabilizationWindowSeconds, policies } }: Behavior): void {
  expect(stabilizationWindowSeconds).toBeGreaterThanOrEqual(300);
  expect(policies).toEqual([expect.objectContaining({ type: 'Pods', value: 1 })]);
}

/** `transactionalId` → `TRANSACTIONAL_ID` */
function upper(name: string): string {
  return name.replace(/(?<=.)(?=[A-Z])/g, '_').toUpperCase();
}
