import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import kafkajs, { type AclEntry, type Admin } from 'kafkajs';
import { PortChooser } from '#local/free-ports.js';
import { findJava } from '#local/kafka/java.js';
import { planKafka } from '#local/kafka/kafka-broker.js';
import { runToEnd } from '#local/start-process.js';
import { eventually } from './eventually.js';
import { RunFolder } from './run-folder.js';
import { SELF_SIGNED } from './self-signed.js';

/** Who may do everything, and logs in by PLAIN; all others have the rights that a test gives them, and no more. */
const ADMIN = { username: 'admin', password: 'admin' } as const;

const PLAIN_MODULE = 'org.apache.kafka.common.security.plain.PlainLoginModule';
const SCRAM_MODULE = 'org.apache.kafka.common.security.scram.ScramLoginModule';
const OAUTH = 'org.apache.kafka.common.security.oauthbearer';

/**
 * Settings that make a broker ask for logins at `loginPort` and judge every request by ACLs. The plain port stays for the
 * probe of its start; who comes by it is ANONYMOUS and has no right.
 * @param plainUsers name and password of those who may log in by PLAIN, besides the administrator
 */
export function securedSettings(
  ports: { readonly port: number; readonly controllerPort: number; readonly loginPort: number },
  plainUsers: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const { port, controllerPort, loginPort } = ports;
  const { username, password } = ADMIN;
  const users = Object.entries({ [username]: password, ...plainUsers });
  const jaas = `${PLAIN_MODULE} required username="${username}" password="${password}" ${users
    .map(([name, secret]) => `user_${name}="${secret}"`)
    .join(' ')};`;
  return {
    listeners: `PLAINTEXT://127.0.0.1:${port},LOGIN://127.0.0.1:${loginPort},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},LOGIN://127.0.0.1:${loginPort}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT',
    'inter.broker.listener.name': 'LOGIN',
    'listener.name.login.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.controller.sasl.enabled.mechanisms': 'PLAIN',
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'sasl.mechanism.controller.protocol': 'PLAIN',
    'listener.name.login.plain.sasl.jaas.config': jaas,
    'listener.name.login.scram-sha-256.sasl.jaas.config': `${SCRAM_MODULE} required;`,
    'listener.name.login.scram-sha-512.sasl.jaas.config': `${SCRAM_MODULE} required;`,
    'listener.name.controller.plain.sasl.jaas.config': jaas,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': `User:${username}`,
  };
}

/**
 * Adds a listener for logins over TLS to such settings. It shows SELF_SIGNED, and lets in only clients that show it as well.
 * @param pemFile where to write key and certificate
 */
function withTls(settings: Record<string, string>, tlsPort: number, pemFile: string): Record<string, string> {
  writeFileSync(pemFile, `${SELF_SIGNED.key}\n${SELF_SIGNED.cert}\n`, { mode: 0o600 });
  writeFileSync(`${pemFile}.trusted`, `${SELF_SIGNED.cert}\n`);
  const listener = `,TLS://127.0.0.1:${tlsPort}`;
  return {
    ...settings,
    listeners: `${settings['listeners']}${listener}`,
    'advertised.listeners': `${settings['advertised.listeners']}${listener}`,
    'listener.security.protocol.map': `${settings['listener.security.protocol.map']},TLS:SASL_SSL`,
    'listener.name.tls.sasl.enabled.mechanisms': 'SCRAM-SHA-512',
    'listener.name.tls.scram-sha-512.sasl.jaas.config': `${SCRAM_MODULE} required;`,
    'listener.name.tls.ssl.keystore.type': 'PEM',
    'listener.name.tls.ssl.keystore.location': pemFile,
    'listener.name.tls.ssl.truststore.type': 'PEM',
    'listener.name.tls.ssl.truststore.location': `${pemFile}.trusted`,
    'listener.name.tls.ssl.client.auth': 'required',
  };
}

/** Whose tokens such a broker takes. */
export interface TokenIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl: string;
}

/** Has the listener for logins take tokens too: Kafka's own check of signature, issuer, audience and expiry. */
function withTokens(
  settings: Record<string, string>,
  { issuer, audience, jwksUrl }: TokenIssuer,
): Record<string, string> {
  const login = 'listener.name.login.oauthbearer.sasl';
  const enabled = 'listener.name.login.sasl.enabled.mechanisms';
  return {
    ...settings,
    [enabled]: `${settings[enabled]},OAUTHBEARER`,
    [`${login}.jaas.config`]: `${OAUTH}.OAuthBearerLoginModule required;`,
    [`${login}.server.callback.handler.class`]: `${OAUTH}.OAuthBearerValidatorCallbackHandler`,
    'sasl.oauthbearer.jwks.endpoint.url': jwksUrl,
    'sasl.oauthbearer.expected.issuer': issuer,
    'sasl.oauthbearer.expected.audience': audience,
  };
}

export interface SecuredKafka {
  /** Where it asks for no login, for one, for one over TLS, and its controller for one by PLAIN alone. */
  readonly ports: Readonly<Record<'port' | 'loginPort' | 'tlsPort' | 'controllerPort', number>>;
  /** Of its settings and jars. */
  readonly folder: string;
  log(): string;
  stop(): Promise<void>;
}

/**
 * Such a broker of its own, with no topic and no right.
 * @param plainUsers as for {@link securedSettings}
 * @param tokens whose tokens are a login; its keys must be there when the broker starts
 */
export async function startSecuredKafka(
  plainUsers: Readonly<Record<string, string>>,
  tokens: TokenIssuer,
): Promise<SecuredKafka> {
  const run = new RunFolder('kafka-login');
  const chooser = new PortChooser({ reserves: true });
  const ports = {
    port: await chooser.choose(),
    loginPort: await chooser.choose(),
    tlsPort: await chooser.choose(),
    controllerPort: await chooser.choose(),
  };
  const { port, controllerPort } = ports;
  const [folder, logFile] = [join(run.path, 'kafka'), join(run.path, 'kafka.log')];
  const settings = withTls(
    withTokens(securedSettings(ports, plainUsers), tokens),
    ports.tlsPort,
    join(run.path, 'broker.pem'),
  );
  try {
    const plan = await planKafka({ folder, logFile, port, controllerPort, heapMb: 384, settings });
    // Kafka asks no address that this property does not list.
    const allowed = `-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${tokens.jwksUrl}`;
    await run.start({ ...plan, args: [allowed, ...plan.args] });
  } catch (error) {
    await run.remove();
    chooser.release();
    throw error;
  }
  const stop = async (): Promise<void> => {
    await run.remove();
    chooser.release();
  };
  return { ports, folder, log: () => readFileSync(logFile, 'utf8'), stop };
}

/** The administrator of such a broker. @param broker where it asks for logins */
export async function connectAdmin(broker: string): Promise<Admin> {
  const admin = adminClient(broker).admin();
  await admin.connect();
  return admin;
}

/** As a producer that is none of ours; its rights are its owner's business. */
export async function produce(broker: string, topic: string, ...values: string[]): Promise<void> {
  const producer = adminClient(broker).producer({
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    allowAutoTopicCreation: false,
  });
  await producer.connect();
  await producer.send({ topic, messages: values.map((value) => ({ value })) });
  await producer.disconnect();
}

export function adminClient(broker: string): kafkajs.Kafka {
  return new kafkajs.Kafka({
    brokers: [broker],
    sasl: { mechanism: 'plain', ...ADMIN },
    logLevel: kafkajs.logLevel.NOTHING,
  });
}

/**
 * Kafka's own tool behind `kafka-configs.sh`, as the administrator.
 * @param folder of the broker, where its jars are
 */
export async function runConfigCommand(
  folder: string,
  broker: string,
  args: readonly string[],
): Promise<void> {
  const { command } = await findJava();
  const login = join(folder, 'admin.properties');
  const jaas = `${PLAIN_MODULE} required username="${ADMIN.username}" password="${ADMIN.password}";`;
  // Once, because several may run side by side.
  if (!existsSync(login))
    writeFileSync(
      login,
      `security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=${jaas}\n`,
    );
  const jvm = ['-XX:TieredStopAtLevel=1', '-Xmx128m', '-cp', 'jars/*', 'kafka.admin.ConfigCommand'];
  const { code, stdout, stderr } = await runToEnd(
    command,
    [...jvm, '--bootstrap-server', broker, '--command-config', login, ...args],
    { cwd: folder },
  );
  if (code !== 0)
    throw new Error(`ConfigCommand ${args.join(' ')} ended with ${code ?? '?'}:\n${stdout}${stderr}`);
}

/** What the authorizer has said about one operation of a request. */
export interface Judgement {
  readonly principal: string;
  readonly isAllowed: boolean;
  readonly operation: string;
  /** `Topic`, `Group`, `TransactionalId` or `Cluster`. */
  readonly kind: string;
  readonly name: string;
}

/** Has the broker log what is allowed as well; what is denied it logs anyway. @param folder of the broker, planned */
export function logJudgements(folder: string): void {
  const settings = ['logger.acl.name = kafka.authorizer.logger', 'logger.acl.level = debug'];
  appendFileSync(join(folder, 'log4j2.properties'), `\n${settings.join('\n')}\n`);
}

/** Each judgement in the broker's log once. */
export function judgementsIn(log: string): Judgement[] {
  const lines =
    /Principal = (\S+) is (Allowed|Denied) operation = (\S+) from host = \S+ on resource = (\w+):\w+:(\S+) /g;
  const texts = new Set([...log.matchAll(lines)].map(([, ...words]) => words.join(' ')));
  return [...texts].map((text) => {
    const [principal = '', verdict, operation = '', kind = '', name = ''] = text.split(' ');
    return { principal, isAllowed: verdict === 'Allowed', operation, kind, name };
  });
}

/** Rights that come with others (org.apache.kafka.metadata.authorizer.StandardAuthorizerData). */
const COMES_WITH = {
  DESCRIBE: ['READ', 'WRITE', 'DELETE', 'ALTER'],
  DESCRIBE_CONFIGS: ['ALTER_CONFIGS'],
} as Readonly<Record<string, readonly string[]>>;

/** Those of the rights, in words, without which nothing would have been denied. */
export function unusedRights(rights: readonly AclEntry[], judgements: readonly Judgement[]): string[] {
  const unused = rights.filter((right) => {
    const operation = operationOf(right);
    const isUsed = judgements.some(
      (judged) =>
        judged.isAllowed &&
        judged.principal === right.principal &&
        judged.operation === operation &&
        judged.kind.toUpperCase() === nameIn(kafkajs.AclResourceTypes, right.resourceType).replace('_', '') &&
        (right.resourcePatternType === kafkajs.ResourcePatternTypes.PREFIXED
          ? judged.name.startsWith(right.resourceName)
          : judged.name === right.resourceName),
    );
    const comesAnyway = rights.some(
      (other) =>
        COMES_WITH[operation]?.includes(operationOf(other)) === true &&
        other.principal === right.principal &&
        other.resourceType === right.resourceType &&
        other.resourceName === right.resourceName,
    );
    return !isUsed || comesAnyway;
  });
  return unused.map((right) => `${right.principal}: ${operationOf(right)} on ${right.resourceName}`);
}

function operationOf({ operation }: AclEntry): string {
  return nameIn(kafkajs.AclOperationTypes, operation);
}

/** kafkajs has numbers under names, and no way back. */
function nameIn(numbers: object, wanted: number): string {
  return Object.entries(numbers).find(([, number]) => number === wanted)?.[0] ?? String(wanted);
}

const EVERY_ACL = {
  resourceType: kafkajs.AclResourceTypes.ANY,
  resourcePatternType: kafkajs.ResourcePatternTypes.ANY,
  operation: kafkajs.AclOperationTypes.ANY,
  permissionType: kafkajs.AclPermissionTypes.ANY,
};

/** Makes these the only rights at the broker, and waits until they are in force. */
export async function setAcls(admin: Admin, acl: AclEntry[]): Promise<void> {
  const before = await listAcls(admin);
  const [gone, added] = [difference(before, acl), difference(acl, before)];
  if (gone.length > 0) await admin.deleteAcls({ filters: gone });
  if (added.length > 0) await admin.createAcls({ acl: added });
  // They are in force when the authorizer lists them.
  await eventually(async () => {
    const now = await listAcls(admin);
    return difference(now, acl).length + difference(acl, now).length === 0;
  }, 'the rights to be in force');
}

/** All rights that there are. */
export async function listAcls(admin: Admin): Promise<AclEntry[]> {
  const { resources } = await admin.describeAcls(EVERY_ACL);
  return resources.flatMap(({ acls, resourceType, resourceName, resourcePatternType }) =>
    acls.map((acl) => ({ ...acl, resourceType, resourceName, resourcePatternType })),
  );
}

function difference(some: readonly AclEntry[], others: readonly AclEntry[]): AclEntry[] {
  const known = new Set(others.map(aclText));
  return some.filter((acl) => !known.has(aclText(acl)));
}

/** For a comparison, or a title: numbers stand for Kafka's names. */
function aclText(acl: AclEntry): string {
  const { principal, operation, resourceType, resourcePatternType, resourceName } = acl;
  return [principal, operation, resourceType, resourcePatternType, resourceName].join(' ');
}
