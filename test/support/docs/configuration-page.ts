import { getMetadataStorage } from 'class-validator';
import { ConnectionConfig } from '#common/config/connection.config.js';
import { type VariableFacts, listVariables } from '#common/config/environment.js';
import { LogConfig } from '#common/telemetry/log.config.js';
import { TraceConfig } from '#common/telemetry/tracing/trace.config.js';
import { markdownTable } from '#common/text/markdown-table.js';
import { type SettingsClass, settingsClassesOf } from './settings-classes.js';

/** docs/configuration.md, from the settings classes, which are found on disk: none can be forgotten. */
export async function configurationPage(): Promise<string> {
  const parts = [INTRODUCTION, section('Every service', [ConnectionConfig, LogConfig, TraceConfig])];
  for (const [app, title] of Object.entries(TITLES)) parts.push(section(title, await settingsClassesOf(app)));
  return parts.join('\n');
}

/** Every app with settings, in the order of a record's path. */
const TITLES: Readonly<Record<string, string>> = {
  ingestor: 'Ingestor',
  validator: 'Validator',
  loader: 'Loader',
  tracker: 'Tracker',
  cli: 'The command line',
};

const INTRODUCTION = `<!-- Written by \`npm run docs\` from the code. Change the code, not this page. -->

# Configuration

Settings come from the environment. \`npx sluice env --settings\` prints the same list.

- A service checks its settings at its start. It names all wrong variables at once, never a value, and ends with exit
  code 78.
- \`NAME_FILE\` instead of \`NAME\` reads the value from that file: use it for secrets, which are marked below.
- \`npx sluice up\` sets \`KAFKA_BROKERS\`, \`DATABASE_URL\`, \`SLUICE_HOST\`, \`SLUICE_PORT\` and \`SLUICE_LOCAL_TOKEN_FILE\` of the
  services it starts. It passes on every other variable of its own environment.
- Topics take messages of up to 8 MiB (\`max.message.bytes\`, set when \`npx sluice migrate\` creates them). Your own brokers
  need \`message.max.bytes\` and \`replica.fetch.max.bytes\` above that, for example 10485760.
`;

function section(title: string, classes: readonly SettingsClass[] | readonly (new () => object)[]): string {
  const rows = classes.flatMap((settings) => {
    const defaults = new settings() as Readonly<Record<string, unknown>>;
    return ownVariables(settings).map((facts) => [
      `\`${facts.variable}\``,
      defaultOf(facts, defaults),
      allowedBy(settings, facts.property),
      `${facts.help}${facts.secret ? '. Secret' : ''}`,
    ]);
  });
  return `## ${title}\n\n${markdownTable(['variable', 'default', 'allowed', 'what for'], rows)}`;
}

/** Without those of every service, which have a section of their own. */
function ownVariables(settings: new () => object): readonly VariableFacts[] {
  if (settings === ConnectionConfig) return listVariables(settings);
  const shared = listVariables(ConnectionConfig);
  return listVariables(settings).filter((facts) => !shared.includes(facts));
}

function defaultOf({ property }: VariableFacts, defaults: Readonly<Record<string, unknown>>): string {
  const value = defaults[property];
  return typeof value === 'string' || typeof value === 'number' ? (value === '' ? '' : `\`${value}\``) : '';
}

/** What the class's own checks demand, in words. */
function allowedBy(settings: new () => object, property: string): string {
  const checks = getMetadataStorage()
    .getTargetValidationMetadatas(settings, '', true, false)
    .filter(({ propertyName }) => propertyName === property);
  const constraint = (name: string): unknown =>
    checks.find((check) => check.name === name)?.constraints[0] as unknown;
  const [min, max, values] = [constraint('min'), constraint('max'), constraint('isIn')];
  if (Array.isArray(values)) return values.map((value) => `\`${String(value)}\``).join(', ');
  if (typeof min === 'number') return typeof max === 'number' ? `${min} to ${max}` : `from ${min}`;
  const message = checks.map((check) => check.message).find((text) => typeof text === 'string') ?? '';
  return message.replace(/^\S+ /, (name) => (name === `${property} ` || name === '$property ' ? '' : name));
}
