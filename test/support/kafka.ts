import { join } from 'node:path';
import { PortChooser } from '#local/free-ports.js';
import { planKafka } from '#local/kafka/kafka-broker.js';
import { RunFolder } from './run-folder.js';

export interface TestKafka {
  readonly brokers: string[];
  stop(): Promise<void>;
}

/**
 * A broker: the run's when `npm test` started one (TEST_KAFKA_BROKERS), else one of its own (about 3 s).
 * It may be shared, so choose names of topics and groups that nobody else has; topics are not created by use.
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
  const ports = new PortChooser();
  try {
    const plan = await planKafka({
      folder: join(folder.path, 'kafka'),
      logFile: join(folder.path, 'kafka.log'),
      port: await ports.choose(),
      controllerPort: await ports.choose(),
      heapMb: 384,
    });
    await folder.start(plan);
    return {
      brokers: [`127.0.0.1:${plan.port}`],
      dataFolder: join(folder.path, 'kafka', 'data'),
      stop: () => folder.remove(),
    };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}
