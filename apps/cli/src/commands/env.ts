import { readdir } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { listVariables } from '#common/config/environment.js';
import { LogConfig } from '#common/telemetry/log.config.js';
import { TraceConfig } from '#common/telemetry/tracing/trace.config.js';
import type { Exit } from '../exit-codes.js';
import { renderTable } from '../render/table.js';
import { type CliContext, write } from './context.js';
import { notRunning } from './find-system.js';

/** `sluice env`: how psql and Kafka's tools reach the running system, as lines that a shell can evaluate. */
export async function env(context: CliContext): Promise<Exit> {
  const state = await context.local.state();
  if (state === undefined) throw await notRunning(context.local);
  const variables = { DATABASE_URL: state.databaseUrl, KAFKA_BROKERS: state.kafkaBrokers };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${shellQuoted(value)}\n`);
  await write(context.stdout, lines.join(''));
  return 'success';
}

/** Nothing in it means anything to a shell. */
function shellQuoted(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

interface Setting {
  readonly service: string;
  readonly variable: string;
  readonly fallback: string;
  readonly help: string;
}

/** `sluice env --settings`: every variable of every service, from the very classes that read them. */
export async function settings(context: CliContext): Promise<Exit> {
  const found = await findSettings();
  const byVariable = new Map<string, Setting[]>();
  for (const setting of found) {
    const key = [setting.variable, setting.fallback, setting.help].join('\0');
    byVariable.set(key, [...(byVariable.get(key) ?? []), setting]);
  }
  const rows = [...byVariable.values()].map((group) => ({ group, first: group[0] }));
  const text = renderTable(rows, [
    { title: 'variable', value: ({ first }) => first?.variable ?? '' },
    { title: 'default', value: ({ first }) => first?.fallback ?? '' },
    { title: 'read by', value: ({ group }) => group.map(({ service }) => service).join(', ') },
    { title: 'help', value: ({ first }) => first?.help ?? '' },
  ]);
  await write(context.stdout, `${text}\nNAME_FILE instead of NAME reads the value from that file.\n`);
  return 'success';
}

const APPS = join(import.meta.dirname, '../../..');

/**
 * The settings classes stand in files named `<name>.config` of each app. They are found on disk, because no
 * app imports another one; only their metadata is read. Log files are a setting of whatever runs as a service.
 */
async function findSettings(): Promise<Setting[]> {
  const found: Setting[] = [];
  for (const app of (await readdir(APPS)).sort()) {
    const folder = join(APPS, app, 'src');
    const files = await readdir(folder, { recursive: true }).catch(() => []);
    if (files.length > 0 && app !== 'cli')
      found.push(...settingsOf(app, LogConfig), ...settingsOf(app, TraceConfig));
    for (const file of files.filter((name) => /\.config\.[jt]s$/.test(name)).sort()) {
      const module = (await import(pathToFileURL(join(folder, file)).href)) as Record<string, unknown>;
      for (const exported of Object.values(module)) found.push(...settingsOf(app, exported));
    }
  }
  return found;
}

function settingsOf(service: string, exported: unknown): Setting[] {
  if (typeof exported !== 'function' || exported.prototype === undefined) return [];
  const variables = listVariables(exported as new () => object);
  if (variables.length === 0) return [];
  const defaults = new (exported as new () => Record<string, unknown>)();
  return variables.map(({ property, variable, help, secret }) => {
    const value = defaults[property];
    const fallback =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? String(value)
        : '';
    return { service, variable, fallback, help: secret ? `${help} (secret)` : help };
  });
}
