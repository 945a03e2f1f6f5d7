/**
 * `npm run dashboards:pictures`: draws every dashboard with Grafana's own components over a real Prometheus, and writes
 * docs/images/dashboards/*.png. It starts a system and a Prometheus for it, and ends both. It is no part of `npm test`: it needs
 * Chromium, and packages of its own (450 MB), which it installs into dashboards/pictures.
 *
 *   npm run dashboards:pictures
 *   npm run dashboards:pictures -- --prometheus http://127.0.0.1:9090 --minutes 30     of a system that runs, up to now
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Refusal, ROOT, runScript } from './refusal.js';
import { importBuilt, say, setup } from './setup.js';

const DRAWER = join(ROOT, 'dashboards/pictures');
const PICTURES = join(ROOT, 'docs/images/dashboards');

await runScript(async () => {
  const { values } = parseArgs({
    options: { prometheus: { type: 'string' }, minutes: { type: 'string', default: '5' } },
  });
  installDrawer();
  const shown = values.prometheus === undefined ? await ownRun() : running(values);
  try {
    const { takePictures } = await import('../dashboards/pictures/take.js');
    say('drawing the dashboards');
    for (const path of await takePictures({ ...shown, folder: PICTURES })) process.stdout.write(`${path}\n`);
  } finally {
    await shown.stop();
  }
});

async function ownRun() {
  await setup({ kafka: true });
  const { startShownRun } = await importBuilt('test/operations/shown-run.js');
  say('running a system for three minutes');
  return startShownRun();
}

function running({ prometheus, minutes }) {
  const seconds = Number(minutes) * 60;
  if (!(seconds > 0)) throw new Refusal(`--minutes is "${minutes}": give a number above 0.`);
  const to = Math.floor(Date.now() / 1_000);
  return { prometheus, from: to - seconds, to, stop: async () => {} };
}

function installDrawer() {
  if (existsSync(join(DRAWER, 'node_modules', '.package-lock.json'))) return;
  say('installing the packages of dashboards/pictures (npm ci)');
  // A package of Grafana's asks for an older React than its others do.
  const flags = ['ci', '--legacy-peer-deps', '--ignore-scripts', '--loglevel=error'];
  const { status } = spawnSync('npm', flags, { cwd: DRAWER, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Refusal('The packages could not be installed: see what npm says above.');
}
