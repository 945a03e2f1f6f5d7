import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { childEnvironment } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { PortChooser } from '#local/free-ports.js';
import { findJava } from '#local/kafka/java.js';
import type { ProcessPlan } from '#local/process-plan.js';
import type { StartedProcess } from '#local/start-process.js';
import { eventually } from '#test/support/eventually.js';
import { RunFolder } from '#test/support/run-folder.js';
import type { NamedProcess } from '../system/cost.js';
import { workerSettings } from './connector-settings.js';
import type { ConnectJars } from './connect-jars.js';

/** Connect's own default is at most 2 GB; memory is not measured against it, so it begins with all of it. */
const JVM = ['-Xms2g', '-Xmx2g'];
const LOG_FILE = 'connect.log';
/** Of a failure's message. */
const LOG_END_CHARS = 3_000;

interface ConnectorStatus {
  readonly connector: { readonly state: string };
  readonly tasks: readonly { readonly state: string; readonly trace?: string }[];
}

/** Kafka Connect, standalone, spoken to by its REST interface. */
export class ConnectWorker {
  private constructor(
    private readonly folder: RunFolder,
    private readonly started: StartedProcess,
    private readonly url: string,
  ) {}

  /** It ends with this process, however that ends. */
  static async start(jars: ConnectJars, brokers: readonly string[]): Promise<ConnectWorker> {
    const folder = new RunFolder('connect');
    try {
      return await ConnectWorker.startIn(folder, jars, brokers);
    } catch (error) {
      await folder.remove();
      throw error;
    }
  }

  private static async startIn(
    folder: RunFolder,
    jars: ConnectJars,
    brokers: readonly string[],
  ): Promise<ConnectWorker> {
    const place = folder.path;
    const { command } = await findJava();
    const port = await new PortChooser().choose();
    const settings = workerSettings(brokers, port, jars.plugins, join(place, 'offsets'));
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(join(place, 'worker.properties'), lines.join(''));
    const url = `http://127.0.0.1:${port}`;
    const plan: ProcessPlan = {
      name: 'connect',
      command,
      args: [
        ...JVM,
        ...['-cp', join(jars.worker, '*'), `-Dlog4j2.configurationFile=${await logSettings(place)}`],
        ...['org.apache.kafka.connect.cli.ConnectStandalone', join(place, 'worker.properties')],
      ],
      cwd: place,
      env: childEnvironment(),
      port,
      logFile: join(place, LOG_FILE),
      probe: async () => {
        await (await fetch(`${url}/connectors`)).json();
      },
      stopSteps: [{ signal: 'SIGTERM', waitMs: 20_000 }],
    };
    return new ConnectWorker(folder, await folder.start(plan), url);
  }

  get process(): NamedProcess {
    return { name: 'connect', pid: this.started.ref.pid };
  }

  async create(name: string, config: Readonly<Record<string, string>>): Promise<void> {
    const response = await fetch(`${this.url}/connectors`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, config }),
    });
    if (!response.ok)
      throw new SluiceError('INTERNAL', `Connect refuses a connector: ${await response.text()}`);
  }

  /** @throws SluiceError INTERNAL when a task of it has failed, with the reason */
  async assertRuns(name: string): Promise<void> {
    const response = await fetch(`${this.url}/connectors/${name}/status`);
    if (response.status === 404) return;
    const { connector, tasks } = (await response.json()) as ConnectorStatus;
    const failed = tasks.find(({ state }) => state === 'FAILED');
    if (failed !== undefined || connector.state === 'FAILED')
      throw new SluiceError('INTERNAL', `Connect has failed: ${(failed?.trace ?? '').slice(0, 3_000)}`);
  }

  /** The status of a connector and the end of the worker's log without its requests, for a failure's message. */
  async describe(name: string): Promise<string> {
    const status = await (await fetch(`${this.url}/connectors/${name}/status`)).text();
    const log = await readFile(join(this.folder.path, LOG_FILE), 'utf8');
    const lines = log.split('\n').filter((line) => !line.endsWith('(RestServer)'));
    return `${status}\n${lines.join('\n').slice(-LOG_END_CHARS)}`;
  }

  async remove(name: string): Promise<void> {
    await fetch(`${this.url}/connectors/${name}`, { method: 'DELETE' });
    await eventually(
      async () => (await fetch(`${this.url}/connectors/${name}`)).status === 404,
      'a connector to be removed',
    );
  }

  async stop(): Promise<void> {
    await this.folder.stop(this.started);
    await this.folder.remove();
  }
}

/** The broker's, which say what happens and no record's contents. */
async function logSettings(place: string): Promise<string> {
  const file = join(place, 'log4j2.properties');
  await copyFile(join(import.meta.dirname, '../../libs/local/src/kafka/log4j2.properties'), file);
  return file;
}
