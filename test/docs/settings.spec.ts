import { describe, expect, it } from '@jest/globals';
import { listVariables, loadAllSettings, loadSettings } from '#common/config/environment.js';
import { LogConfig } from '#common/telemetry/log.config.js';
import { TraceConfig } from '#common/telemetry/tracing/trace.config.js';
import { PROGRAMS, type SettingsClass, settingsClassesOf } from '../support/docs/settings-classes.js';

/**
 * A value that each variable refuses; null where any text is right. A new variable has to be added here, which is the
 * moment to ask what would be wrong with it.
 */
const WRONG: Readonly<Record<string, string | readonly string[] | null>> = {
  AWS_REGION: 'eu west',
  DATABASE_URL: 'postgres://user:%zz@host/db',
  EDITOR: null,
  JAVA_HOME: null,
  KAFKA_BROKERS: ['kafka-without-a-port', 'SASL_SSL://host:9092'],
  KAFKA_OAUTH_AUDIENCE: 'without-an-endpoint',
  KAFKA_OAUTH_CLIENT_ID: 'without-an-endpoint',
  KAFKA_OAUTH_CLIENT_SECRET: 'without-an-endpoint',
  KAFKA_OAUTH_SCOPE: 'without-an-endpoint',
  KAFKA_OAUTH_TOKEN_ENDPOINT: ['http://provider.example/token', 'provider', 'https://a:b@provider.example'],
  KAFKA_PASSWORD: 'without a name',
  KAFKA_SASL_MECHANISM: 'GSSAPI',
  KAFKA_USERNAME: 'without-a-password',
  NO_COLOR: null,
  OTEL_EXPORTER_OTLP_ENDPOINT: ['collector:4318', 'https://user:word@host:4318'],
  SLUICE_ACCESS: 'password',
  SLUICE_ALLOWED_HOSTS: 'http://host:80/',
  SLUICE_CA_FILE: '/no/such/file',
  SLUICE_CONTEXT: 'a name',
  SLUICE_DATASET_PATHS: '/no/such/folder',
  SLUICE_FAULT_FOLDER: null,
  SLUICE_HOST: ['127.0.0.999', '0.0.0.0'],
  SLUICE_INGESTOR_URL: 'ingestor',
  SLUICE_LOCAL_FOLDER: null,
  SLUICE_LOCAL_TOKEN_FILE: '/no/such/file',
  SLUICE_LOG_FOLDER: null,
  SLUICE_LOG_LEVEL: 'loud',
  SLUICE_MAINTENANCE_WORK_MEM: '1kB',
  SLUICE_MESSAGE_KEY: 'short',
  SLUICE_METRICS_OPEN: 'yes',
  SLUICE_S3_ADDRESSING: 'virtual',
  SLUICE_S3_BUCKETS: 'My_Bucket',
  SLUICE_S3_ENDPOINT: ['store:9000', 'http://store/path'],
  SLUICE_OIDC_AUDIENCE: 'without-an-issuer',
  SLUICE_OIDC_ISSUER: ['http://provider.example', 'provider'],
  SLUICE_OIDC_ROLE_CLAIM: 'two words',
  SLUICE_OIDC_ROLES: 'ops=root',
  SLUICE_SOURCE_FOLDERS: 'relative/folder',
  SLUICE_SOURCE_PRIVATE_ADDRESSES: 'maybe',
  SLUICE_SOURCE_USER_AGENT: 'two\nlines',
  SLUICE_TLS_CERTIFICATE: 'no certificate',
  SLUICE_TLS_KEY: 'no key',
  SLUICE_TOKEN: 'a word',
  SLUICE_TRACKER_URL: 'ftp://tracker',
  SLUICE_TRUSTED_PROXY: ['proxy.example', '10.0.0.999', '10.0.0.0/33'],
  VISUAL: null,
  XDG_CONFIG_HOME: null,
};
/** What every other variable refuses: they are whole numbers within bounds. */
const WRONG_NUMBERS = ['abc', '1.5', '-1', '1e99'];

/** Beside those of its folder every service reads these. */
const OF_SERVICES = [LogConfig, TraceConfig] as unknown as readonly SettingsClass[];

const cases: { app: string; settings: SettingsClass; variable: string; wrong: string }[] = [];
for (const app of PROGRAMS) {
  const ofService = app === 'cli' ? [] : OF_SERVICES;
  for (const settings of [...(await settingsClassesOf(app)), ...ofService]) {
    for (const { variable } of listVariables(settings)) {
      const wrong = WRONG[variable];
      const values = wrong === undefined ? WRONG_NUMBERS : wrong === null ? [] : [wrong].flat();
      cases.push(...values.map((value) => ({ app, settings, variable, wrong: value })));
    }
  }
}

/** Read by the command line, which works without it. */
const OPTIONAL_FOR = { cli: ['SLUICE_LOCAL_TOKEN_FILE'] } as Readonly<Record<string, readonly string[]>>;

describe('every setting of every app', () => {
  it.each(cases.filter(({ app, variable }) => OPTIONAL_FOR[app]?.includes(variable) !== true))(
    '$app names $variable when it is $wrong',
    ({ settings, variable, wrong }) => {
      expect(() => loadSettings(settings, { [variable]: wrong })).toThrow(
        expect.objectContaining({ code: 'SETTING_INVALID', message: expect.stringContaining(variable) }),
      );
    },
  );

  it.each(PROGRAMS)('%s takes every one of its own defaults as a value', async (app) => {
    const ofService = app === 'cli' ? [] : OF_SERVICES;
    for (const settings of [...(await settingsClassesOf(app)), ...ofService]) {
      const defaults = new settings();
      const environment: Record<string, string> = {};
      for (const { property, variable } of listVariables(settings)) {
        const value = defaults[property] as string | number | undefined;
        if (value !== undefined) environment[variable] = String(value);
      }
      expect(loadSettings(settings, environment)).toEqual(loadSettings(settings, {}));
    }
  });

  it.each(PROGRAMS)('%s names everything that is wrong in all its classes in one go', async (app) => {
    const classes = await settingsClassesOf(app);
    const variables = classes.flatMap((settings) => listVariables(settings).map(({ variable }) => variable));
    const environment = Object.fromEntries(variables.map((name) => [`${name}_FILE`, '/no/such/file']));
    let message = '';
    try {
      loadAllSettings(classes, environment);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(variables.filter((name) => !message.includes(`${name}_FILE`))).toEqual([]);
  });
});
