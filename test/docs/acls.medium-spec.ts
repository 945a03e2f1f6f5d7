import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import kafkajs, { type AclEntry, type Admin, type Kafka } from 'kafkajs';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { PortChooser } from '../../apps/cli/src/local/free-ports.js';
import { planKafka } from '../../apps/cli/src/local/kafka/kafka-broker.js';
import { BatchHandler, type Delivery } from '#common/kafka/batch-handler.decorator.js';
import { BatchServer } from '#common/kafka/batch-server.js';
import { groupProgress } from '#common/kafka/consumer-lag.js';
import { createKafka } from '#common/kafka/kafka-client.js';
import { MessageParking } from '#common/kafka/message-parking.js';
import { readMessages } from '#common/kafka/message-reader.js';
import { Publisher } from '#common/kafka/publisher.js';
import { correctTopics, countPartitions, createTopics } from '#common/kafka/topics-admin.js';
import {
  CONSUMER_GROUPS,
  STATUS_TOPIC,
  correctedSettings,
  planTopics,
  topicOf,
} from '#core/message/topics.js';
import { eventually } from '../support/eventually.js';
import { RunFolder } from '../support/run-folder.js';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
const DATASET = 'customers';
const [RAW, CLEAN, DEAD] = [topicOf(DATASET, 'raw'), topicOf(DATASET, 'clean'), topicOf(DATASET, 'dead')];
const ADMIN = { mechanism: 'plain', username: 'admin', password: 'admin' } as const;
const JAAS =
  'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin" user_admin="admin";';

let seen: string[] = [];

@Controller()
class Reading {
  @BatchHandler('any')
  handle(@Payload() { messages }: Delivery): Promise<void> {
    seen.push(...messages.map(({ place }) => place.topic));
    return Promise.resolve();
  }
}

class ReadingModule {}

/** Every client on the plain listener is ANONYMOUS there: each service in turn has the rights that the page gives it. */
describe('the rights that docs/operations.md gives each service at the brokers', () => {
  const folder = new RunFolder('kafka-acls');
  let admin: Admin;
  let kafka: Kafka;
  let publisher: Publisher;
  const logged: string[] = [];

  beforeAll(async () => {
    const ports = new PortChooser();
    const [port, controllerPort, adminPort] = [
      await ports.choose(),
      await ports.choose(),
      await ports.choose(),
    ];
    const plan = await planKafka({
      ...{ folder: join(folder.path, 'kafka'), logFile: join(folder.path, 'kafka.log') },
      ...{ port, controllerPort, heapMb: 384 },
      settings: {
        listeners: `PLAINTEXT://127.0.0.1:${port},ADMIN://127.0.0.1:${adminPort},CONTROLLER://127.0.0.1:${controllerPort}`,
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},ADMIN://127.0.0.1:${adminPort}`,
        'listener.security.protocol.map':
          'PLAINTEXT:PLAINTEXT,ADMIN:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT',
        'inter.broker.listener.name': 'ADMIN',
        'sasl.enabled.mechanisms': 'PLAIN',
        'sasl.mechanism.inter.broker.protocol': 'PLAIN',
        'sasl.mechanism.controller.protocol': 'PLAIN',
        'listener.name.admin.plain.sasl.jaas.config': JAAS,
        'listener.name.controller.plain.sasl.jaas.config': JAAS,
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:admin',
      },
    });
    await folder.start(plan);
    const logger = pino({ level: 'warn' }, { write: (line: string) => logged.push(line) });
    kafka = createKafka({ brokers: [`127.0.0.1:${port}`], clientId: 'acls', logger });
    publisher = new Publisher(kafka);
    const asAdmin = new kafkajs.Kafka({
      brokers: [`127.0.0.1:${adminPort}`],
      sasl: ADMIN,
      logLevel: kafkajs.logLevel.NOTHING,
    });
    admin = asAdmin.admin();
    await admin.connect();
    await createTopics(asAdmin, planTopics([DATASET], 2), 1);
  });

  afterAll(async () => {
    await publisher.disconnect();
    await admin.disconnect();
    await folder.remove();
  });

  /** What the page gives the principal, and nothing else, is what our connections may do now. */
  async function actAs(principal: string): Promise<void> {
    const everything = {
      resourceType: kafkajs.AclResourceTypes.ANY,
      resourcePatternType: kafkajs.ResourcePatternTypes.ANY,
      operation: kafkajs.AclOperationTypes.ANY,
      permissionType: kafkajs.AclPermissionTypes.ANY,
    };
    await admin.deleteAcls({ filters: [everything] });
    const acl = aclsOf(principal);
    expect(acl.length).toBeGreaterThan(0);
    await admin.createAcls({ acl });
    // They are in force when the authorizer lists them.
    await eventually(async () => {
      const { resources } = await admin.describeAcls(everything);
      return resources.reduce((sum, { acls }) => sum + acls.length, 0) === acl.length;
    }, 'the rights to be in force');
  }

  /** As a service does at its start and afterwards. */
  async function consume(groupId: string, topics: string[]): Promise<void> {
    seen = [];
    logged.length = 0;
    const logger = pino({ level: 'warn' }, { write: (line: string) => logged.push(line) });
    const server = new BatchServer({
      ...{ kafka, groupId, logger, topics: { any: topics } },
      ...{ concurrentPartitions: 2, maxGroupBytes: 1e6, maxGroupMessages: 100, maxBytesPerPartition: 1e6 },
      ...{ maxMessageBytes: 1024, sessionTimeoutMs: 10_000 },
      parking: new MessageParking(new Registry(), logger, () => Promise.resolve()),
      onFatal: (error) => logged.push(error.message),
    });
    const app = await NestFactory.createMicroservice(
      { module: ReadingModule, controllers: [Reading] },
      { strategy: server, logger: false },
    );
    await app.listen();
    await eventually(() => topics.every((topic) => seen.includes(topic)), 'a message of each topic');
    await app.close();
    expect(logged.filter((line) => /not allow|not authorized|could not be checked/i.test(line))).toEqual([]);
  }

  const send = (...topics: string[]): Promise<void> =>
    publisher.send(
      topics.map((topic) => ({ topic, key: 'k', headers: { v: '1' }, value: Buffer.from('x') })),
    );

  it('are enough for the ingestor, and what it may not do is named', async () => {
    await actAs('sluice-ingestor');
    expect(await countPartitions(kafka, [RAW])).toEqual(new Map([[RAW, 2]]));
    await send(RAW, STATUS_TOPIC);
    await expect(send(CLEAN)).rejects.toMatchObject({
      code: 'BROKER_FAULT',
      message: expect.stringContaining(`do not allow WRITE on topic ${CLEAN}`),
    });
    await expect(countPartitions(kafka, [CLEAN])).rejects.toMatchObject({
      code: 'BROKER_FAULT',
      message: expect.stringContaining(`do not allow DESCRIBE on topic ${CLEAN}`),
    });
  });

  it('are enough for the validator', async () => {
    await actAs('sluice-validator');
    await consume(CONSUMER_GROUPS.validate, [RAW]);
    await publisher.partitionsOf(CLEAN);
    await send(DEAD, CLEAN, STATUS_TOPIC);
  });

  it('are enough for the loader', async () => {
    await actAs('sluice-loader');
    await consume(CONSUMER_GROUPS.load, [CLEAN]);
    await send(DEAD, STATUS_TOPIC);
    expect((await groupProgress(kafka, CONSUMER_GROUPS.validate, RAW)).lag).toBe(0n);
    expect((await groupProgress(kafka, CONSUMER_GROUPS.load, CLEAN)).lag).toBe(0n);
    const offsets = [0, 1].map((partition) => ({ topic: RAW, partition, offset: '0' }));
    const read: string[] = [];
    const take = ({ value }: { value: Buffer | null }): Promise<void> => {
      read.push(String(value));
      return Promise.resolve();
    };
    await readMessages(kafka, offsets, take, () => Promise.resolve());
    expect(read).toEqual(['x']);
    expect(
      (await admin.listGroups()).groups.filter(({ groupId }) => /^sluice-reader-/.test(groupId)),
    ).toEqual([]);
  });

  it('are enough for the tracker', async () => {
    await actAs('sluice-tracker');
    await consume('sluice-tracker', [DEAD, STATUS_TOPIC]);
  });

  it('are enough for who migrates', async () => {
    await actAs('sluice-owner');
    const plan = planTopics([DATASET, 'more'], 2);
    expect(await createTopics(kafka, plan, 1)).toHaveLength(3);
    expect(await correctTopics(kafka, plan.map(correctedSettings))).toEqual([]);
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: topicOf('more', 'raw'),
          configEntries: [{ name: 'compression.type', value: 'zstd' }],
        },
      ],
    });
    const corrected = await eventually(async () => {
      const settings = await correctTopics(kafka, plan.map(correctedSettings));
      return settings.length > 0 && settings;
    }, 'the setting to be there and corrected');
    expect(corrected).toEqual([`${topicOf('more', 'raw')}: compression.type=uncompressed`]);
  });
});

/** The page's commands for one principal, as entries for ANONYMOUS. */
function aclsOf(principal: string): AclEntry[] {
  const lines = [...PAGE.matchAll(/^\$acls --allow-principal User:(\S+) (.*)$/gm)];
  return lines
    .filter(([, name]) => name === principal)
    .flatMap(([, , words = '']) => {
      const operations = [...words.matchAll(/--operation (\S+)/g)].map(([, name = '']) => name);
      const resources = [...words.matchAll(/--(topic|group) (\S+)/g)];
      const pattern = words.includes('--resource-pattern-type prefixed') ? 'PREFIXED' : 'LITERAL';
      return resources.flatMap(([, kind, resourceName = '']) =>
        operations.map((operation) => ({
          principal: 'User:ANONYMOUS',
          host: '*',
          permissionType: kafkajs.AclPermissionTypes.ALLOW,
          operation: kafkajs.AclOperationTypes[operation as 'READ'],
          resourceType: kafkajs.AclResourceTypes[kind === 'topic' ? 'TOPIC' : 'GROUP'],
          resourcePatternType: kafkajs.ResourcePatternTypes[pattern],
          resourceName,
        })),
      );
    });
}
