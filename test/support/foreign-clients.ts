/**
 * Programs of others that come neither with Node's packages nor with the local broker, Kafka clients and an object store, from the
 * registries of their languages.
 */
import { join } from 'node:path';
import { checkoutFolder } from '#local/folders.js';
import { KAFKA_VERSION, sha256Of } from '#local/kafka/kafka-jars.js';
import { fetched, orLeftOut, runFetch } from './fetched-program.js';

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
    const folder = await fetched(join(FOLDER, `kafka-tools-${KAFKA_VERSION}`), async (partial) => {
      const copy = [COPY_GOAL, `-Dartifact=${TOOLS}`, `-DoutputDirectory=${partial}`];
      await runFetch('mvn', ['-q', '-B', ...copy]);
      const sha256 = await sha256Of(join(partial, jar));
      if (sha256 !== TOOLS_SHA256) throw new Error(`${jar} has another content (${sha256})`);
      return undefined;
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
    const python = (await runFetch('python3', ['-c', versionOf])).trim();
    return fetched(join(FOLDER, `${requirement}-python${python}`), async (partial) => {
      const flags = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:', '--no-compile'];
      await runFetch('python3', ['-m', 'pip', 'install', ...flags, '--target', partial, requirement]);
      return undefined;
    });
  });
}
