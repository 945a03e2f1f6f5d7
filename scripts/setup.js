/**
 * Makes a fresh clone ready to run: packages, build, Kafka. Does only what is missing, so a second call takes
 * a fraction of a second. Only built-in modules until the packages are there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, isBuilt } from './build.js';
import { Refusal, ROOT } from './refusal.js';

/** package.json `engines`. */
const OLDEST_NODE = [20, 19];
/** Packages 0.6, build and Kafka 0.1, the rest for what runs. */
const LEAST_FREE_GIB = 1.5;

/**
 * @param kafka whether the local Kafka is wanted as well
 * @throws Refusal saying what to do
 */
export async function setup({ kafka = false } = {}) {
  checkMachine();
  if (!isInstalled()) {
    checkDisk();
    install();
  }
  if (!isBuilt()) {
    say('building');
    build();
  }
  if (kafka && !process.env.KAFKA_BROKERS) await fetchKafka();
}

export function say(line) {
  process.stderr.write(`${line} …\n`);
}

function checkMachine() {
  if (process.platform === 'win32') {
    throw new Refusal('Windows is not supported: run Sluice under WSL 2, on Linux or on macOS.');
  }
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    throw new Refusal(`Node is ${process.versions.node}: install Node ${OLDEST_NODE.join('.')} or newer.`);
  }
}

function checkDisk() {
  const { bavail, bsize } = statfsSync(ROOT);
  const freeGib = (bavail * bsize) / 1024 ** 3;
  if (freeGib < LEAST_FREE_GIB) {
    throw new Refusal(
      `Only ${freeGib.toFixed(1)} GiB are free for ${ROOT}: free at least ${LEAST_FREE_GIB} GiB.`,
    );
  }
}

/** Whether node_modules holds, package by package, what package-lock.json says; npm writes its own list last. */
export function isInstalled() {
  const list = join(ROOT, 'node_modules', '.package-lock.json');
  if (!existsSync(list)) return false;
  const installed = JSON.parse(readFileSync(list, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
    const isThis = path === '';
    const mayBeAbsent = (optional || devOptional) && installed[path] === undefined;
    return isThis || mayBeAbsent || installed[path]?.version === version;
  });
}

function install() {
  say('installing packages (npm ci)');
  const flags = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  const [command, ...before] = npmCommand();
  const result = spawnSync(command, [...before, ...flags], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (result.error?.code === 'ENOENT')
    throw new Refusal('npm was not found in PATH: install it (it comes with Node).');
  if (result.status !== 0) {
    throw new Refusal(
      'The packages could not be installed: see what npm says above (is its registry within reach?).',
    );
  }
}

/** The npm that started us, which may not be in PATH; else the one that is. */
function npmCommand() {
  const starter = process.env.npm_execpath;
  return starter && basename(starter) === 'npm-cli.js' ? [process.execPath, starter] : ['npm'];
}

async function fetchKafka() {
  const { ensureKafkaJars, kafkaJarsFolder } = await importBuilt('libs/local/src/kafka/kafka-jars.js');
  try {
    await ensureKafkaJars(kafkaJarsFolder(), () => say('fetching Kafka (45 MB, by Maven)'));
  } catch (error) {
    if (error.name === 'SluiceError') throw new Refusal(error.message);
    throw error;
  }
}

/** @param path inside `dist` */
export function importBuilt(path) {
  return import(pathToFileURL(join(ROOT, 'dist', path)).href);
}
