/**
 * Programs of others that come neither with Node's packages nor with the local broker, Kafka clients and an object store: fetched
 * once, from the registries of their languages, into a folder that all tests of a checkout share.
 *
 * Where they cannot be fetched, the tests that need them are left out with one line; in CI that is an error.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { checkoutFolder } from '#local/folders.js';
import { KAFKA_VERSION, sha256Of } from '#local/kafka/kafka-jars.js';
import { type Outcome, runToEnd } from '#local/start-process.js';

const FOLDER = join(checkoutFolder(), '.sluice', 'test-clients');

const TOOLS_SHA256 = 'b88bc6ccc520d648142515526e4042c285612ce94b032434a88e3e936e38b600';
const TOOLS = `org.apache.kafka:kafka-tools:${KAFKA_VERSION}`;
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
/** librdkafka with its Python module, built for Linux and macOS. */
const LIBRDKAFKA = 'confluent-kafka==2.16.1';
/** Stands for AWS: ETags, versions, If-Match and signed requests as there. */
const MOTO = 'moto[server]==5.2.5';

/** @returns the jar with Kafka's console producer, which runs with the broker's jars; null: left out */
export function consoleProducerJar(): Promise<string | null> {
  const jar = `kafka-tools-${KAFKA_VERSION}.jar`;
  return orLeftOut(TOOLS, async () => {
    const folder = await fetched(`kafka-tools-${KAFKA_VERSION}`, async (partial) => {
      await expectSuccess(
        'mvn',
        await runWithin('mvn', [
          '-q',
          '-B',
          COPY_GOAL,
          `-Dartifact=${TOOLS}`,
          `-DoutputDirectory=${partial}`,
        ]),
      );
      const sha256 = await sha256Of(join(partial, jar));
      if (sha256 !== TOOLS_SHA256) throw new Error(`${jar} has another content (${sha256})`);
    });
    return join(folder, jar);
  });
}

/** @returns what `PYTHONPATH` has to name for `import confluent_kafka`; null: left out */
export function librdkafkaFolder(): Promise<string | null> {
  return pythonFolder(LIBRDKAFKA);
}

/** @returns what `PYTHONPATH` has to name for `python3 -m moto.server`, an object store; null: left out */
export function motoFolder(): Promise<string | null> {
  return pythonFolder(MOTO);
}

function pythonFolder(requirement: string): Promise<string | null> {
  return orLeftOut(requirement, async () => {
    const versionOf = 'import sys; print("%d.%d" % sys.version_info[:2])';
    const python = (await expectSuccess('python3', await runWithin('python3', ['-c', versionOf]))).trim();
    return fetched(`${requirement}-python${python}`, async (partial) => {
      const flags = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:', '--no-compile'];
      await expectSuccess(
        'pip',
        await runWithin('python3', ['-m', 'pip', 'install', ...flags, '--target', partial, requirement]),
      );
    });
  });
}

/** Other workers may fetch the same at the same time: the first one that is done counts. */
async function fetched(name: string, fetch: (partial: string) => Promise<void>): Promise<string> {
  const folder = join(FOLDER, name);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.partial-${randomUUID()}`;
  await mkdir(partial, { recursive: true });
  try {
    await fetch(partial);
    await rename(partial, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}

async function orLeftOut<T>(what: string, fetch: () => Promise<T>): Promise<T | null> {
  try {
    return await fetch();
  } catch (error) {
    const reason = `${what} cannot be fetched: ${messageOf(error)}`;
    if (process.env['CI'] === 'true') throw new SluiceError('REQUIREMENT_MISSING', reason);
    process.stderr.write(`Tests are left out: ${reason}\n`);
    return null;
  }
}

/** A registry that does not answer is as good as none. */
function runWithin(command: string, args: readonly string[]): Promise<Outcome> {
  return runToEnd(command, args, { signal: AbortSignal.timeout(240_000) });
}

function expectSuccess(command: string, { code, stdout, stderr }: Outcome): Promise<string> {
  if (code === 0) return Promise.resolve(stdout);
  return Promise.reject(
    new Error(`${command} ended with code ${code ?? '?'}: ${`${stderr}\n${stdout}`.trim().slice(-500)}`),
  );
}
