/** What `npm test` and `npm run coverage` share: one Kafka and one PostgreSQL for a run, and an end of all that it started. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal, ROOT } from './refusal.js';
import { importBuilt, say } from './setup.js';

/** What holds Jest up after its last test was left open by a test, and would hold up the run for ever: a failure. */
const LONGEST_END_MS = 60_000;

const guard = spawn(process.execPath, [join(ROOT, 'test', 'support', 'end-with-parent.js')], {
  detached: true,
  stdio: ['pipe', 'ignore', 'ignore'],
});
guard.unref();
guard.stdin.unref();
/** Lines that test/support/end-with-parent.js understands. */
export const tellGuard = (line) => guard.stdin.write(`${JSON.stringify(line)}\n`);

/** Aborted by Ctrl-C and its like: children are asked to end, and nothing more is started. */
export const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop.abort());

/**
 * Starts both and says to tests where they are.
 * @param servers takes them, as soon as each has started
 * @param archive a file for the classes of Kafka, when many brokers are to be started
 */
export async function startServers(servers, archive) {
  say('starting Kafka and PostgreSQL');
  const { startPostgresServer } = await importBuilt('test/support/postgres.js');
  const { archiveKafkaClasses, startKafkaBroker } = await importBuilt('test/support/kafka.js');
  const keep = (server) => (servers.push(server), server);
  try {
    if (archive !== undefined) Object.assign(process.env, await archiveKafkaClasses(archive));
    const [postgres, kafka] = await Promise.all([
      startPostgresServer().then(keep),
      startKafkaBroker().then(keep),
    ]);
    process.env.TEST_DATABASE_URL = postgres.url;
    process.env.TEST_KAFKA_BROKERS = kafka.brokers.join(',');
  } catch (error) {
    throw error.name === 'SluiceError' ? new Refusal(error.message) : error;
  }
}

/**
 * Runs Node with these arguments to its end.
 * @param lastFile when this file is there, the process has LONGEST_END_MS left
 * @returns its exit code
 */
export function run(args, { stdout = 'inherit', lastFile, env: more = {} } = {}) {
  return new Promise((resolve) => {
    // Stopped between the caller's check and this.
    if (stop.signal.aborted) {
      resolve(1);
      return;
    }
    const env = {
      ...process.env,
      SLUICE_TEST_BUILT: '1',
      FORCE_COLOR: process.stderr.isTTY ? '1' : '0',
      ...more,
    };
    const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', stdout, 'inherit'] });
    tellGuard({ watch: child.pid, signal: 'SIGTERM' });
    const end = () => child.kill('SIGTERM');
    stop.signal.addEventListener('abort', end);
    let bound;
    const watch = setInterval(() => {
      if (lastFile === undefined || bound !== undefined || !existsSync(lastFile)) return;
      bound = setTimeout(() => {
        say('Jest does not end: a test has left something open');
        end();
      }, LONGEST_END_MS);
    }, 1_000);
    child.once('exit', (code) => {
      stop.signal.removeEventListener('abort', end);
      clearInterval(watch);
      clearTimeout(bound);
      tellGuard({ unwatch: child.pid });
      resolve(code ?? 1);
    });
  });
}
