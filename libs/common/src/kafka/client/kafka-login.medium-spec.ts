import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import kafkajs, { type AclEntry, type Admin, type Kafka } from 'kafkajs';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { eventually } from '#test/support/eventually.js';
import {
  issuerOf,
  signingKey,
  startOidcProvider,
  stopServer,
  type SigningKey,
} from '#test/support/oidc-provider.js';
import {
  type SecuredKafka,
  adminClient,
  connectAdmin,
  runConfigCommand,
  setAcls,
  startSecuredKafka,
} from '#test/support/secured-kafka.js';
import { SELF_SIGNED } from '#test/support/self-signed.js';
import { loadSettings } from '../../config/environment.js';
import { KafkaSecurityConfig } from '../../config/kafka-security.config.js';
import { BatchHandler } from '../transport/batch-handler.decorator.js';
import { BatchServer } from '../transport/batch-server.js';
import { MessageParking } from '../transport/message-parking.js';
import { Publisher } from '../transport/publisher.js';
import { countPartitions, createTopics } from '../transport/topics-admin.js';
import { createKafka } from './kafka-client.js';
import { brokerErrorText, classifyBrokerError } from './kafka-errors.js';

const NAME = 'sluice-loader';
const PASSWORD = 'the-right-one';
const WRONG = 'a-wrong-one';
const [READABLE, OTHER] = ['readable', 'other'];
const [GROUP, OTHER_GROUP] = ['own-group', 'other-group'];
const NOT_ACCEPTED = 'the brokers do not accept KAFKA_USERNAME with KAFKA_PASSWORD';
const AUDIENCE = 'https://kafka.example';
const CLIENT = { id: NAME, secret: PASSWORD };
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'];

@Controller()
class Reading {
  @BatchHandler('any')
  handle(): Promise<void> {
    return Promise.resolve();
  }
}

class ReadingModule {}

describe('a broker that asks for logins and judges by ACLs', () => {
  const logged: string[] = [];
  let broker: SecuredKafka;
  let admin: Admin;
  let key: SigningKey;
  let provider: Server;

  beforeAll(async () => {
    // The provider advises against what it keeps in memory here.
    jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    jest.spyOn(console, 'info').mockImplementation(() => undefined);
    key = await signingKey('one');
    provider = await startOidcProvider([key], CLIENT);
    const issuer = issuerOf(provider);
    broker = await startSecuredKafka(
      { [NAME]: PASSWORD },
      { issuer, audience: AUDIENCE, jwksUrl: `${issuer}/jwks` },
    );
    admin = await connectAdmin(loginAddress());
    await Promise.all([
      setPassword('SCRAM-SHA-256', PASSWORD),
      setPassword('SCRAM-SHA-512', PASSWORD),
      createTopics(
        adminClient(loginAddress()),
        [READABLE, OTHER].map((topic) => ({ topic, partitions: 1, config: {} })),
        1,
      ),
      setAcls(admin, [allowed('READ', 'TOPIC', READABLE), allowed('READ', 'GROUP', GROUP)]),
    ]);
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    await admin.disconnect();
    await broker.stop();
    await stopServer(provider);
  });

  const loginAddress = (): string => `127.0.0.1:${broker.ports.loginPort}`;

  const setPassword = (mechanism: string, password: string): Promise<void> =>
    runConfigCommand(broker.folder, loginAddress(), [
      ...['--alter', '--entity-type', 'users', '--entity-name', NAME, '--add-config'],
      `${mechanism}=[password=${password}]`,
    ]);

  function allowed(
    operation: keyof typeof kafkajs.AclOperationTypes,
    kind: 'TOPIC' | 'GROUP',
    resourceName: string,
  ): AclEntry {
    return {
      ...{ principal: `User:${NAME}`, host: '*', resourceName },
      permissionType: kafkajs.AclPermissionTypes.ALLOW,
      operation: kafkajs.AclOperationTypes[operation],
      resourceType: kafkajs.AclResourceTypes[kind],
      resourcePatternType: kafkajs.ResourcePatternTypes.LITERAL,
    };
  }

  /** As a service makes it of its settings. */
  function clientOf(login: Record<string, string | undefined>, port = broker.ports.loginPort): Kafka {
    logged.length = 0;
    const logger = pino({ level: 'debug' }, { write: (line: string) => logged.push(line) });
    return createKafka({
      ...{ brokers: [`127.0.0.1:${port}`], clientId: 'login', logger },
      ...loadSettings(KafkaSecurityConfig, login).kafkaSecurity(),
    });
  }

  const loginBy = (mechanism: string, password = PASSWORD, name = NAME): Record<string, string> => ({
    ...{ KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: name, KAFKA_PASSWORD: password },
  });

  const refusedLogins = (): number =>
    broker
      .log()
      .split('\n')
      .filter((line) => line.includes('Failed authentication')).length;

  it.each(MECHANISMS)('lets in who logs in by %s', async (mechanism) => {
    const kafka = clientOf(loginBy(mechanism));
    expect(await countPartitions(kafka, [READABLE])).toEqual(new Map([[READABLE, 1]]));
    expect(logged.join()).not.toContain(PASSWORD);
  });

  it('lets who may create no topic look whether those that it needs are there', async () => {
    const kafka = clientOf(loginBy('PLAIN'));
    const there = { topic: READABLE, partitions: 1, config: {} };
    expect(await createTopics(kafka, [there], 1)).toEqual([]);
    await expect(createTopics(kafka, [{ ...there, topic: 'new' }], 1)).rejects.toThrow();
  });

  it.each([
    ...MECHANISMS.map(
      (mechanism) => [`a wrong password by ${mechanism}`, loginBy(mechanism, WRONG)] as const,
    ),
    ['a name that it does not know', loginBy('SCRAM-SHA-512', PASSWORD, 'unknown')] as const,
  ])('refuses %s: one sentence, the kind `setup`, one try', async (_, login) => {
    const before = refusedLogins();
    const kafka = clientOf(login);
    const failure = await countPartitions(kafka, [READABLE]).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'BROKER_FAULT', message: expect.stringContaining(NOT_ACCEPTED) });
    expect(classifyBrokerError((failure as Error).cause)).toBe('setup');
    await eventually(() => refusedLogins() > before, 'the broker to log it');
    expect(refusedLogins() - before).toBe(1);
    // The caller reports it; kafkajs logs nothing besides, and the password is in no log.
    expect(logged.filter((line) => !line.includes('"level":20'))).toEqual([]);
    expect(logged.join() + String(failure)).not.toMatch(new RegExp(`${WRONG}|${PASSWORD}`));
  });

  it('names what is wrong with the way to log in', async () => {
    const textOf = async (kafka: Kafka): Promise<string> => {
      const connection = kafka.admin({ retry: { retries: 0 } });
      const asking = connection.connect().then(() => connection.describeCluster());
      const error = await asking.catch((failure: unknown) => failure);
      await connection.disconnect();
      return brokerErrorText(error);
    };
    // The controller's listener takes PLAIN alone.
    expect(await textOf(clientOf(loginBy('SCRAM-SHA-512'), broker.ports.controllerPort))).toContain(
      'the brokers do not offer this KAFKA_SASL_MECHANISM',
    );
    expect(await textOf(clientOf(loginBy('PLAIN'), broker.ports.port))).toContain(
      'the listener in KAFKA_BROKERS takes no login, and KAFKA_SASL_MECHANISM is set',
    );
    expect(await textOf(clientOf({}))).toContain('set KAFKA_SASL_MECHANISM');
  });

  it('a publisher learns once that its login is refused, and which right it lacks', async () => {
    const refused = new Publisher(clientOf(loginBy('PLAIN', WRONG)));
    const message = { topic: OTHER, key: 'k', headers: { v: '1' }, value: Buffer.from('x') };
    const before = refusedLogins();
    await expect(refused.send([message])).rejects.toMatchObject({
      code: 'BROKER_FAULT',
      message: expect.stringContaining(NOT_ACCEPTED),
    });
    await eventually(() => refusedLogins() > before, 'the broker to log it');
    expect(refusedLogins() - before).toBe(1);
    await refused.disconnect();
    const publisher = new Publisher(clientOf(loginBy('PLAIN')));
    await expect(publisher.send([message])).rejects.toMatchObject({
      code: 'BROKER_FAULT',
      message: expect.stringContaining(`do not allow WRITE on topic ${OTHER}`),
    });
    await publisher.disconnect();
    await expect(countPartitions(clientOf(loginBy('PLAIN')), [READABLE, OTHER])).rejects.toMatchObject({
      code: 'BROKER_FAULT',
      message: expect.stringContaining(`do not allow DESCRIBE on topic ${OTHER} to`),
    });
  });

  /** A consumer as a service has it; whatever ends it for good fails the test. */
  async function withServer(
    kafka: Kafka,
    groupId: string,
    work: (server: BatchServer) => Promise<void>,
  ): Promise<void> {
    const fatal: Error[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => logged.push(line) });
    const server = new BatchServer({
      ...{ kafka, groupId, logger, topics: { any: [READABLE] } },
      ...{ concurrentPartitions: 1, maxGroupBytes: 1e6, maxGroupMessages: 100, maxBytesPerPartition: 1e6 },
      ...{ maxMessageBytes: 1024, sessionTimeoutMs: 10_000 },
      parking: new MessageParking(new Registry(), logger, () => Promise.resolve()),
      registry: new Registry(),
      onFatal: (error) => fatal.push(error),
    });
    const app = await NestFactory.createMicroservice(
      { module: ReadingModule, controllers: [Reading] },
      { strategy: server, logger: false },
    );
    const listening = app.listen();
    try {
      await work(server);
    } finally {
      await app.close();
      await listening;
    }
    expect(fatal).toEqual([]);
  }

  const untilItSays = (server: BatchServer, words: string): Promise<true> =>
    eventually(() => server.health.notReady().some((problem) => problem.includes(words)), words);

  const untilReady = (server: BatchServer): Promise<true> =>
    eventually(() => server.health.notReady().length === 0, 'the consumer to be ready');

  it('a consumer whose login is refused says so, retries seldom, and continues when it is fixed', async () => {
    const before = refusedLogins();
    await withServer(clientOf(loginBy('SCRAM-SHA-256', WRONG)), GROUP, async (server) => {
      await untilItSays(server, NOT_ACCEPTED);
      expect(server.health.notLive()).toEqual([]);
      await setPassword('SCRAM-SHA-256', WRONG);
      await untilReady(server);
    });
    await setPassword('SCRAM-SHA-256', PASSWORD);
    const said = logged.filter((line) => line.includes(NOT_ACCEPTED));
    expect(said.length).toBeGreaterThan(0);
    // An error of ours for each try, and a try for each error.
    expect(said.every((line) => line.includes('"level":50'))).toBe(true);
    expect(refusedLogins() - before).toBe(said.length);
    expect(logged.join()).not.toContain(WRONG);
  });

  it('a consumer without READ on its group says so, and continues when it has it', async () => {
    const rights = [allowed('READ', 'TOPIC', READABLE), allowed('READ', 'GROUP', GROUP)];
    await withServer(clientOf(loginBy('PLAIN')), OTHER_GROUP, async (server) => {
      await untilItSays(server, `do not allow READ on group ${OTHER_GROUP}`);
      await setAcls(admin, [...rights, allowed('READ', 'GROUP', OTHER_GROUP)]);
      await untilReady(server);
    });
  });

  it('a consumer that may DESCRIBE its topic and not read it names READ', async () => {
    await setAcls(admin, [allowed('DESCRIBE', 'TOPIC', READABLE), allowed('READ', 'GROUP', GROUP)]);
    await withServer(clientOf(loginBy('PLAIN')), GROUP, async (server) => {
      await untilItSays(server, `do not allow READ on topic ${READABLE}`);
      await setAcls(admin, [allowed('READ', 'TOPIC', READABLE), allowed('READ', 'GROUP', GROUP)]);
      await untilReady(server);
    });
  });

  describe('by tokens of a provider', () => {
    const byToken = (
      changes: Record<string, string | undefined> = {},
    ): Record<string, string | undefined> => ({
      ...{ KAFKA_SASL_MECHANISM: 'OAUTHBEARER', KAFKA_OAUTH_TOKEN_ENDPOINT: `${issuerOf(provider)}/token` },
      ...{ KAFKA_OAUTH_CLIENT_ID: NAME, KAFKA_OAUTH_CLIENT_SECRET: PASSWORD, KAFKA_OAUTH_SCOPE: 'ops' },
      ...{ KAFKA_OAUTH_AUDIENCE: AUDIENCE, ...changes },
    });

    it('lets in who has one, as the principal that it names', async () => {
      const kafka = clientOf(byToken());
      expect(await countPartitions(kafka, [READABLE])).toEqual(new Map([[READABLE, 1]]));
      await expect(countPartitions(kafka, [OTHER])).rejects.toMatchObject({
        code: 'BROKER_FAULT',
        message: expect.stringContaining(`do not allow DESCRIBE on topic ${OTHER} to`),
      });
    });

    it.each([
      [
        'a wrong secret',
        { KAFKA_OAUTH_CLIENT_SECRET: WRONG },
        'does not accept KAFKA_OAUTH_CLIENT_ID with KAFKA_OAUTH_CLIENT_SECRET (401 invalid_client)',
        { kind: 'setup', refusedByBroker: 0 },
      ],
      [
        'an audience that is unknown to the provider',
        { KAFKA_OAUTH_AUDIENCE: 'kafka' },
        'does not accept KAFKA_OAUTH_AUDIENCE (400 invalid_target)',
        { kind: 'setup', refusedByBroker: 0 },
      ],
      [
        'an audience that is not the brokers’',
        { KAFKA_OAUTH_AUDIENCE: 'https://other.example' },
        'the brokers do not accept the tokens of KAFKA_OAUTH_TOKEN_ENDPOINT',
        { kind: 'setup', refusedByBroker: 1 },
      ],
      [
        'a provider that is away',
        { KAFKA_OAUTH_TOKEN_ENDPOINT: 'http://127.0.0.1:1/token' },
        'the provider at KAFKA_OAUTH_TOKEN_ENDPOINT cannot be reached (',
        { kind: 'wait', refusedByBroker: 0 },
      ],
    ])(
      'says of %s which setting to look at, after one try',
      async (_, changes, text, { kind, refusedByBroker }) => {
        const before = refusedLogins();
        const failure = await countPartitions(clientOf(byToken(changes)), [READABLE]).catch(
          (error: unknown) => error,
        );
        expect(failure).toMatchObject({ message: expect.stringContaining(text) });
        expect(classifyBrokerError((failure as Error).cause)).toBe(kind);
        await eventually(() => refusedLogins() >= before + refusedByBroker, 'the broker to log it');
        expect(refusedLogins() - before).toBe(refusedByBroker);
        // The caller reports it; kafkajs logs nothing besides, and no log has the secret or the token.
        expect(logged.filter((line) => !line.includes('"level":20'))).toEqual([]);
        expect(logged.join() + String(failure)).not.toMatch(new RegExp(`${WRONG}|${PASSWORD}|eyJ`));
      },
    );

    it('a consumer waits for a provider that is away, and reads when it is back', async () => {
      const { port } = provider.address() as AddressInfo;
      const login = byToken();
      await stopServer(provider);
      try {
        await withServer(clientOf(login), GROUP, async (server) => {
          await untilItSays(server, 'the provider at KAFKA_OAUTH_TOKEN_ENDPOINT cannot be reached');
          provider = await startOidcProvider([key], CLIENT, port);
          await untilReady(server);
        });
      } finally {
        if (!provider.listening) provider = await startOidcProvider([key], CLIENT, port);
      }
    });
  });

  describe('over TLS, with a certificate of the client', () => {
    const TLS = {
      ...{ KAFKA_TLS: 'on', KAFKA_TLS_CA: SELF_SIGNED.cert },
      ...{ KAFKA_TLS_CERTIFICATE: SELF_SIGNED.cert, KAFKA_TLS_KEY: SELF_SIGNED.key },
    };
    /** Of 127.0.0.1, as no certificate has it. */
    const OTHER_NAME = '127.1';

    const overTls = (
      changes: Record<string, string | undefined> = {},
    ): Record<string, string | undefined> => ({
      ...{ ...loginBy('SCRAM-SHA-512'), ...TLS, ...changes },
    });

    /** @returns what it fails with */
    async function failureOf(
      settings: Record<string, string | undefined>,
      address = `127.0.0.1:${broker.ports.tlsPort}`,
    ): Promise<unknown> {
      const kafka = createKafka({
        ...{ brokers: [address], clientId: 'tls', logger: pino({ level: 'silent' }) },
        ...loadSettings(KafkaSecurityConfig, settings).kafkaSecurity(),
      });
      const connection = kafka.admin({ retry: { retries: 0 } });
      const asking = connection.connect().then(() => connection.listTopics());
      const error = await asking.then(
        () => null,
        (failure: unknown) => failure,
      );
      await connection.disconnect();
      return error;
    }

    it('lets in who shows it and knows the authority of the broker', async () => {
      expect(await failureOf(overTls())).toBeNull();
    });

    it.each([
      ['an unknown authority', { KAFKA_TLS_CA: undefined }, undefined, 'from no authority in KAFKA_TLS_CA'],
      ['another host name', {}, OTHER_NAME, 'is for other host names than KAFKA_BROKERS'],
      [
        'no certificate of the client',
        { KAFKA_TLS_CERTIFICATE: undefined, KAFKA_TLS_KEY: undefined },
        undefined,
        'does not accept KAFKA_TLS_CERTIFICATE',
      ],
      ['a wrong password', { KAFKA_PASSWORD: WRONG }, undefined, NOT_ACCEPTED],
    ])('says of %s which setting to look at', async (_, changes, host, text) => {
      const error = await failureOf(overTls(changes), host && `${host}:${broker.ports.tlsPort}`);
      expect(brokerErrorText(error)).toContain(text);
      expect(classifyBrokerError(error)).toBe('setup');
    });

    it('takes a password and an authority that are corrected in their files for the next connection', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
      const [password, ca] = [join(folder, 'password'), join(folder, 'ca')];
      writeFileSync(password, WRONG);
      writeFileSync(ca, rootCertificates[0] ?? '');
      const settings = { KAFKA_PASSWORD: undefined, KAFKA_TLS_CA: undefined };
      const security = loadSettings(KafkaSecurityConfig, {
        ...{ ...overTls(settings), KAFKA_PASSWORD_FILE: password, KAFKA_TLS_CA_FILE: ca },
      }).kafkaSecurity();
      const kafka = createKafka({
        ...{ brokers: [`127.0.0.1:${broker.ports.tlsPort}`], clientId: 'tls' },
        ...{ logger: pino({ level: 'silent' }), ...security },
      });
      const textOfTrying = async (): Promise<string> => {
        const connection = kafka.admin({ retry: { retries: 0 } });
        const asking = connection.connect().then(() => connection.listTopics());
        const text = await asking.then(() => 'connected', brokerErrorText);
        await connection.disconnect();
        return text;
      };
      expect(await textOfTrying()).toContain('from no authority in KAFKA_TLS_CA');
      writeFileSync(ca, SELF_SIGNED.cert);
      expect(await textOfTrying()).toContain(NOT_ACCEPTED);
      writeFileSync(password, PASSWORD);
      expect(await textOfTrying()).toBe('connected');
      rmSync(folder, { recursive: true });
    });
  });
});
