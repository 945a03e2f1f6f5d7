import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { listVariables } from '#common/config/environment.js';
import { brokerSettings } from '#local/kafka/kafka-broker.js';
import { KAFKA_VERSION } from '#local/kafka/kafka-jars.js';
import { POSTGRES_SETTINGS } from '#local/postgres/postgres-server.js';
import { CliConfig } from '../../apps/cli/src/cli.config.js';
import { IngestorConfig } from '../../apps/ingestor/src/ingestor.config.js';
import { LoaderConfig } from '../../apps/loader/src/loader.config.js';
import { TrackerConfig } from '../../apps/tracker/src/tracker.config.js';
import { ValidatorConfig } from '../../apps/validator/src/validator.config.js';
import { ROOT, markdownFile } from '../docs/markdown-files.js';
import { type Container, type Overlay, type Pod, renderedOverlays } from './rendered.js';

const SERVICES = {
  ingestor: IngestorConfig,
  validator: ValidatorConfig,
  loader: LoaderConfig,
  tracker: TrackerConfig,
};
const PROGRAMS = { ...SERVICES, migrate: CliConfig };
const amounts = {
  ...{ cpu: expect.anything(), memory: expect.anything(), 'ephemeral-storage': expect.anything() },
};
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('the image', () => {
  it('has the version of package.json, and the base names it in one place', () => {
    const { images } = parse(read('k8s/base/kustomization.yaml')) as { images: object[] };
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(images).toEqual([{ name: 'sluice', newName: 'sluice', newTag: version }]);
  });
});

for (const overlay of renderedOverlays()) {
  describe(`pods of the overlay ${overlay.name}`, () => {
    it.each(Object.entries(PROGRAMS))(
      '%s: runs a program of the code with settings it knows',
      (name, config) => {
        const { args } = containerOf(overlay, name);
        const source = (args[0] ?? '').replace(/^dist\//, '').replace(/\.js$/, '.ts');
        expect(existsSync(join(ROOT, source))).toBe(true);
        const known = new Set(
          listVariables(config).flatMap(({ variable }) => [variable, `${variable}_FILE`]),
        );
        const given = Object.keys(settingsOf(overlay, name, { shared: name !== 'migrate' }));
        expect(given.filter((variable) => !known.has(variable))).toEqual([]);
        expect(Object.keys(settingsOf(overlay, name))).toContain('KAFKA_BROKERS');
      },
    );

    it.each(Object.entries(PROGRAMS))('%s: takes secrets from files of its Secrets only', (name, config) => {
      const settings = settingsOf(overlay, name);
      const secret = listVariables(config).filter((facts) => facts.secret);
      expect(secret.filter(({ variable }) => variable in settings)).toEqual([]);
      const mounted = secretsOf(overlay, name).flatMap((each) => keysOf(overlay, each));
      const files = Object.entries(settings).filter(([variable]) => variable.endsWith('_FILE'));
      for (const [, path] of files)
        expect(mounted).toContain(/^\/run\/secrets\/sluice\/(.+)$/.exec(path)?.[1]);
      // In a cluster every message is sealed, and the validator alone has no database.
      expect('SLUICE_MESSAGE_KEY_FILE' in settings).toBe(name !== 'migrate');
      expect('DATABASE_URL_FILE' in settings).toBe(name !== 'validator');
    });

    it.each(overlay.workloads().map(({ name, pod }) => [name, pod] as const))(
      '%s: has no rights that it does not need, and limits',
      (name, pod) => {
        expect(pod).toMatchObject({
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        });
        expect(pod.containers).toHaveLength(1);
        expect(pod.containers[0]).toMatchObject({
          securityContext: {
            allowPrivilegeEscalation: false,
            ...(name === 'kafka' ? {} : { readOnlyRootFilesystem: true }),
            capabilities: { drop: ['ALL'] },
          },
          resources: {
            requests: amounts,
            limits: amounts,
          },
        });
      },
    );

    it.each(Object.keys(PROGRAMS))('%s: runs as the user of the image, and its files are its own', (name) => {
      expect(read('Dockerfile')).toMatch(/^USER 1000$/m);
      expect(podOf(overlay, name)).toMatchObject({ securityContext: { runAsUser: 1000, fsGroup: 1000 } });
      expect(containerOf(overlay, name).image).toBe(containerOf(overlay, 'ingestor').image);
    });

    it.each(Object.entries(SERVICES))(
      '%s: ports are those of the code, and it has time to drain',
      (name, config) => {
        const { port, drainTimeoutMs } = new config();
        const { ports, lifecycle } = containerOf(overlay, name);
        expect(ports).toEqual([{ name: 'http', containerPort: port }]);
        expect(settingsOf(overlay, name)['SLUICE_PORT']).toBe(String(port));
        const service = overlay.find<{ ports: object[] }>('Service', `sluice-${name}`);
        expect(service.spec.ports).toEqual([{ name: 'http', port, targetPort: 'http' }]);
        expect(settingsOf(overlay, name)['SLUICE_ALLOWED_HOSTS']?.split(',')).toContain(`sluice-${name}`);
        const { terminationGracePeriodSeconds = 0, topologySpreadConstraints } = podOf(overlay, name);
        const graceMs = (terminationGracePeriodSeconds - (lifecycle?.preStop.sleep.seconds ?? 0)) * 1000;
        expect(graceMs).toBeGreaterThan(drainTimeoutMs);
        expect(containerOf(overlay, name)).toMatchObject({
          startupProbe: { httpGet: { path: '/health/live', port: 'http' } },
          livenessProbe: { httpGet: { path: '/health/live', port: 'http' } },
          readinessProbe: { httpGet: { path: '/health/ready', port: 'http' } },
        });
        expect(topologySpreadConstraints).toHaveLength(1);
        const budget = overlay.find<object>('PodDisruptionBudget', `sluice-${name}`).spec;
        expect(budget).toEqual({
          maxUnavailable: 1,
          selector: { matchLabels: { app: `sluice-${name}` } },
        });
      },
    );

    it('asks for every Secret that docs/kubernetes.md names, and no other', () => {
      const given = overlay.all('Secret').map(({ metadata }) => metadata.name);
      const mounted = Object.keys(PROGRAMS).flatMap((name) => secretsOf(overlay, name));
      const named = [...secretsOfPage().keys()];
      if (overlay.name === 'local') expect(mounted.filter((name) => !given.includes(name))).toEqual([]);
      // That of KEDA and that of the Ingress are in no pod.
      else expect([...new Set([...mounted, 'sluice-keda', 'sluice-tls'])].sort()).toEqual(named.sort());
    });
  });

  if (overlay.name === 'local') {
    describe('the overlay local', () => {
      it('gives services the settings that docker-compose.yml gives them, but for who may call', () => {
        const compose = parse(read('docker-compose.yml'), { merge: true }) as {
          services: Record<string, { environment: Record<string, string> }>;
        };
        for (const name of Object.keys(PROGRAMS)) {
          const here = Object.keys(settingsOf(overlay, name, { shared: name !== 'migrate' }));
          const there = Object.keys(compose.services[name]?.environment ?? {});
          const ofOneOnly = (names: string[], others: string[]): string[] =>
            names.filter((each) => !others.includes(each)).sort();
          expect([name, ofOneOnly(there, here)]).toEqual([name, name === 'migrate' ? ['KAFKA_BROKERS'] : []]);
          expect([name, ofOneOnly(here, there)]).toEqual([
            name,
            name === 'migrate'
              ? ['SLUICE_TOPIC_PARTITIONS', 'SLUICE_TOPIC_REPLICATION']
              : ['SLUICE_METRICS_OPEN'],
          ]);
        }
      });

      it('sets up Kafka as `sluice up` does, but for where it listens and keeps its data', () => {
        const elsewhere = /^(listeners|advertised\.|listener\.|inter\.broker\.|controller\.|log\.dirs)/;
        const { image, env } = overlay.workloads().find(({ name }) => name === 'kafka')!.pod.containers[0];
        const given = Object.fromEntries(env.map(({ name, value }) => [name, value]));
        const wanted = Object.entries(brokerSettings({ port: 1, controllerPort: 2 }, '')).filter(
          ([name]) => !elsewhere.test(name),
        );
        expect(given).toMatchObject(
          Object.fromEntries(
            wanted.map(([name, value]) => [
              `KAFKA_${name.toUpperCase().replaceAll('.', '_')}`,
              String(value),
            ]),
          ),
        );
        expect(image).toBe(`apache/kafka:${KAFKA_VERSION}`);
        expect(settingsOf(overlay, 'migrate')).toMatchObject({
          KAFKA_BROKERS: 'kafka:9092',
          SLUICE_TOPIC_REPLICATION: '1',
        });
      });

      it('sets up PostgreSQL as `sluice up` does, but for where it listens', () => {
        const { listen_addresses: _, unix_socket_directories: __, ...wanted } = POSTGRES_SETTINGS;
        const { args } = overlay.workloads().find(({ name }) => name === 'postgres')!.pod.containers[0];
        expect([...args].sort()).toEqual(
          ['postgres', ...Object.entries(wanted).map(([name, value]) => `-c${name}=${value}`)].sort(),
        );
      });
    });
  }
}

function podOf(overlay: Overlay, name: string): Pod {
  const found = overlay.workloads().find((each) => each.name === `sluice-${name}`);
  if (found === undefined) throw new TypeError(`${overlay.name} has no pods of ${name}`);
  return found.pod;
}

function containerOf(overlay: Overlay, name: string): Container {
  return podOf(overlay, name).containers[0];
}

/** Variable → value, of the container itself and, unless `shared` is false, of its ConfigMap. */
function settingsOf(overlay: Overlay, name: string, { shared = true } = {}): Record<string, string> {
  const { env, envFrom = [] } = containerOf(overlay, name);
  const maps = envFrom.map(({ configMapRef }) => {
    const found = overlay.all('ConfigMap').find(({ metadata }) => metadata.name === configMapRef.name);
    return found?.data ?? {};
  });
  const own = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  return Object.assign({}, ...(shared ? maps : []), own) as Record<string, string>;
}

/** Names of the Secrets whose keys are files of the pod. */
function secretsOf(overlay: Overlay, name: string): string[] {
  return podOf(overlay, name).volumes.flatMap(
    ({ projected }) => projected?.sources.map(({ secret }) => secret.name) ?? [],
  );
}

/** In `local` those of the object, in `production` those that the page asks for. */
function keysOf(overlay: Overlay, secret: string): string[] {
  const found = overlay.all('Secret').find(({ metadata }) => metadata.name === secret);
  return found === undefined ? (secretsOfPage().get(secret) ?? []) : Object.keys(found.data ?? {});
}

/** The table of docs/kubernetes.md: Secret → keys. */
function secretsOfPage(): Map<string, string[]> {
  const rows = markdownFile('docs/kubernetes.md').text.matchAll(
    /^\| ((?:`sluice-[a-z-]+`,? ?)+) *\| (.+?) *\|/gm,
  );
  const spans = (text = ''): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  return new Map(
    [...rows].flatMap(([, names, keys]) => spans(names).map((name) => [name, spans(keys)] as const)),
  );
}
