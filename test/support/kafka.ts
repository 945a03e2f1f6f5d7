import { renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Kafka } from 'kafkajs';
import { countPartitions, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { PortChooser } from '#local/free-ports.js';
import { planKafka } from '#local/kafka/kafka-broker.js';
import { endProcess } from '#local/process-identity.js';
import { eventually } from './eventually.js';
import { RunFolder } from './run-folder.js';

export interface TestKafka {
  readonly brokers: string[];
  stop(): Promise<void>;
}

/**
 * A broker: the run's when `npm test` started one (TEST_KAFKA_BROKERS), else one of its own (about 3 s).
 * It may be shared, so choose names of topics and groups that no one else has; topics are not created by use.
 */
export async function startTestKafka(): Promise<TestKafka> {
  const runBrokers = process.env.TEST_KAFKA_BROKERS;
  if (runBrokers) return { brokers: runBrokers.split(','), stop: () => Promise.resolve() };
  return startKafkaBroker();
}

/** A broker that no other test reads from. */
export interface OwnKafka extends TestKafka {
  /** Its `log.dirs`. */
  readonly dataFolder: string;
}

/** A broker of its own, with no topic yet. */
export async function startKafkaBroker(): Promise<OwnKafka> {
  const folder = new RunFolder('kafka');
  const ports = new PortChooser({ reserves: true });
  try {
    const plan = await planBroker(folder, ports);
    await folder.start(plan);
    return {
      brokers: [`127.0.0.1:${plan.port}`],
      dataFolder: join(folder.path, 'kafka', 'data'),
      stop: async () => {
        await folder.remove();
        ports.release();
      },
    };
  } catch (error) {
    await folder.remove();
    ports.release();
    throw error;
  }
}

/** Gives a topic more partitions, and waits until a broker says so: it learns of them after the answer. */
export async function growTopic(kafka: Kafka, topic: string, partitions: number): Promise<void> {
  await withAdmin(kafka, (admin) =>
    admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] }),
  );
  await eventually(
    async () => (await countPartitions(kafka, [topic]).catch(() => null))?.get(topic) === partitions,
    `${topic} to have ${partitions} partitions`,
  );
}

async function planBroker(folder: RunFolder, ports: PortChooser): ReturnType<typeof planKafka> {
  return planKafka({
    folder: join(folder.path, 'kafka'),
    logFile: join(folder.path, 'kafka.log'),
    port: await ports.choose(),
    controllerPort: await ports.choose(),
    heapMb: 384,
  });
}

/**
 * Starts a broker once, so that Java keeps the classes that it has loaded: one that is given the archive takes 60 % of the
 * processor's time to start. Java ignores an archive of another version or of other jars.
 * @param archive the file to write; there is none when the broker had to be killed
 * @returns what to set in the environment of every broker that shall use it
 */
export async function archiveKafkaClasses(archive: string): Promise<Readonly<Record<string, string>>> {
  const options = (option: string): Record<string, string> => ({
    JDK_JAVA_OPTIONS: `${process.env['JDK_JAVA_OPTIONS'] ?? ''} ${option}`.trim(),
  });
  const folder = new RunFolder('kafka-classes');
  const ports = new PortChooser({ reserves: true });
  try {
    const plan = await planBroker(folder, ports);
    const partial = join(folder.path, 'classes.jsa');
    const broker = await folder.start({
      ...plan,
      env: { ...plan.env, ...options(`-XX:ArchiveClassesAtExit=${partial}`) },
    });
    if ((await endProcess(broker.ref, plan.stopSteps)) !== 'SIGKILL') renameSync(partial, archive);
  } finally {
    await folder.remove();
    ports.release();
  }
  return options(`-XX:SharedArchiveFile=${archive}`);
}
