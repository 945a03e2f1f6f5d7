/**
 * `npm run image:check`: builds the Dockerfile with buildah, and runs one job through containers of the image with podman: read-only,
 * without rights, with 256 MB each (G9), on a Kafka and a PostgreSQL that `sluice up` starts on this machine. At the end every container is
 * asked to drain. It is no part of `npm test`: few machines have both programs.
 *
 *   npm run image:check                            builds the image `sluice:check` first
 *   npm run image:check -- --image sluice:0.1.0    runs one that is there
 *   npm run image:check -- --build-option=--pull-never     passed on to buildah; may be repeated
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Refusal, ROOT, runScript } from './refusal.js';
import { importBuilt, setup } from './setup.js';

const MEMORY_MB = 256;
const ROWS = 50_000;
const READY_MS = 60_000;
/** Above SLUICE_DRAIN_TIMEOUT_MS. */
const STOP_SECONDS = 35;
/** Ports that a local system of this checkout does not take. */
const SERVICES = { ingestor: 13001, validator: 13002, loader: 13003, tracker: 13004 };
/** As in docker-compose.yml and k8s/base. */
const HARDENED = [
  ...['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
  ...['--memory', `${MEMORY_MB}m`, '--network', 'host'],
];

await runScript(async () => {
  const { values } = parseArgs({
    options: { image: { type: 'string' }, 'build-option': { type: 'string', multiple: true, default: [] } },
  });
  const image = values.image ?? build(values['build-option']);
  await setup({ kafka: true });
  const folder = mkdtempSync(join(tmpdir(), 'sluice-image-'));
  // The only folder that a container sees; its user is not the one who runs this.
  const sources = join(folder, 'sources');
  mkdirSync(sources, { mode: 0o755 });
  const local = { ...process.env, SLUICE_LOCAL_FOLDER: join(folder, 'local') };
  for (const name of ['INGESTORS', 'VALIDATORS', 'LOADERS', 'TRACKERS']) local[`SLUICE_${name}`] = '0';
  const started = [];
  try {
    sluice(['up'], local);
    const servers = [...sluice(['env'], local).matchAll(/^export (\w+)='?([^'\n]+)'?$/gm)];
    const settings = Object.fromEntries(servers.map(([, name, value]) => [name, value]));
    run('podman', ['run', '--rm', ...HARDENED, ...environment(settings), image, mainOf('cli'), 'migrate']);
    for (const [name, port] of Object.entries(SERVICES)) {
      started.push(name);
      start(name, port, image, { ...settings, SLUICE_SOURCE_FOLDERS: sources }, sources);
    }
    for (const [name, port] of Object.entries(SERVICES)) await untilReady(name, port);
    const { generate } = await importBuilt('libs/datasets/src/tax-registration/generator.js');
    const source = join(sources, 'source.csv');
    writeFileSync(
      source,
      Buffer.concat([...generate({ rows: ROWS, seed: 1, defectShare: 0.01, repeatShare: 0 })]),
    );
    const job = sluice(['run', 'tax-registration', '--source', source, '--yes', '--max-refused', '100%'], {
      ...process.env,
      SLUICE_INGESTOR_URL: `http://127.0.0.1:${SERVICES.ingestor}`,
      SLUICE_TRACKER_URL: `http://127.0.0.1:${SERVICES.tracker}`,
    });
    process.stdout.write(job);
    for (const name of started) report(name);
  } finally {
    for (const name of started) spawnSync('podman', ['rm', '--force', '--time', '1', containerOf(name)]);
    spawnSync(process.execPath, [join(ROOT, 'scripts/sluice.js'), 'down'], { env: local, stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
  }
});

function build(options) {
  const image = 'localhost/sluice:check';
  // The format of OCI has no health checks.
  const args = ['bud', '--format', 'docker', '--layers', ...options, '--tag', image, ROOT];
  const { error, status } = spawnSync('buildah', args, { stdio: 'inherit' });
  if (error !== undefined) throw new Refusal(`buildah cannot be run: ${error.message}.`);
  if (status !== 0) throw new Refusal(`buildah ended with code ${status}.`);
  return image;
}

function start(name, port, image, settings, sources) {
  const own = { ...settings, SLUICE_HOST: '127.0.0.1', SLUICE_PORT: String(port) };
  if (name === 'validator') delete own.DATABASE_URL;
  run('podman', [
    ...[
      'run',
      '--detach',
      '--replace',
      '--name',
      containerOf(name),
      ...HARDENED,
      '--volume',
      `${sources}:${sources}:ro`,
    ],
    ...[...environment(own), image, mainOf(name)],
  ]);
}

async function untilReady(name, port) {
  const endsAt = Date.now() + READY_MS;
  for (;;) {
    const isReady = await fetch(`http://127.0.0.1:${port}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return;
    if (Date.now() > endsAt) throw new Refusal(`The ${name} is not ready:\n${logsOf(name)}`);
    await sleep(200);
  }
}

/** Ends the container, and says what it needed. @throws Refusal when it ran as root, was out of memory, or did not drain */
function report(name) {
  const container = containerOf(name);
  const status = run('podman', ['exec', container, 'cat', '/proc/1/status']);
  const number = (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const peakMb = Math.round(number('VmHWM') / 1000);
  run('podman', ['stop', '--time', String(STOP_SECONDS), container]);
  const [code, killed] = run('podman', [
    ...['inspect', '--format', '{{.State.ExitCode}} {{.State.OOMKilled}}', container],
  ])
    .trim()
    .split(' ');
  process.stdout.write(`${name}: user ${number('Uid')}, peak ${peakMb} MB, exit code ${code}\n`);
  if (number('Uid') === 0 || killed === 'true' || code !== '0' || !logsOf(name).includes('"msg":"drained"'))
    throw new Refusal(`The ${name} did not keep to its limits:\n${logsOf(name)}`);
}

function mainOf(app) {
  return `dist/apps/${app}/src/main.js`;
}

function containerOf(name) {
  return `sluice-check-${name}`;
}

function environment(settings) {
  return Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
}

function logsOf(name) {
  const { stdout, stderr } = spawnSync('podman', ['logs', '--tail', '50', containerOf(name)], {
    encoding: 'utf8',
  });
  return `${stdout}${stderr}`;
}

function sluice(args, env) {
  return run(process.execPath, [join(ROOT, 'scripts/sluice.js'), ...args], env);
}

function run(command, args, env = process.env) {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env });
  if (error !== undefined) throw new Refusal(`${command} cannot be run: ${error.message}.`);
  if (status !== 0) throw new Refusal(`${command} ${args[0]} ended with code ${status}:\n${stdout}${stderr}`);
  return stdout;
}
