import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { listVariables } from '#common/config/environment.js';
import { CliConfig } from '../../apps/cli/src/cli.config.js';
import { IngestorConfig } from '../../apps/ingestor/src/ingestor.config.js';
import { LoaderConfig } from '../../apps/loader/src/loader.config.js';
import { TrackerConfig } from '../../apps/tracker/src/tracker.config.js';
import { ValidatorConfig } from '../../apps/validator/src/validator.config.js';
import { ROOT } from '../docs/markdown-files.js';

interface Container {
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly containerPort: number }[];
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template?: {
      readonly spec: {
        readonly containers: readonly Container[];
        readonly terminationGracePeriodSeconds?: number;
      };
    };
    readonly ports?: readonly { readonly port: number }[];
  };
}

const BASE = join(ROOT, 'k8s/base');
const manifests = readdirSync(BASE)
  .filter((file) => file !== 'kustomization.yaml')
  .flatMap((file) => parseAllDocuments(readFileSync(join(BASE, file), 'utf8')))
  .map((document) => document.toJS() as Manifest);
const SERVICES = {
  ingestor: IngestorConfig,
  validator: ValidatorConfig,
  loader: LoaderConfig,
  tracker: TrackerConfig,
};
const PROGRAMS = { ...SERVICES, migrate: CliConfig };

describe('k8s/base', () => {
  it.each(Object.entries(PROGRAMS))(
    '%s: runs a program of the code with settings it knows',
    (name, config) => {
      const { args, env } = containerOf(name);
      const source = (args[0] ?? '').replace(/^dist\//, '').replace(/\.js$/, '.ts');
      expect(existsSync(join(ROOT, source))).toBe(true);
      const known = listVariables(config).flatMap(({ variable }) => [variable, `${variable}_FILE`]);
      expect(env.map((each) => each.name).filter((variable) => !known.includes(variable))).toEqual([]);
      expect(known).toContain('KAFKA_BROKERS');
    },
  );

  it.each(Object.entries(PROGRAMS))('%s: takes secrets from files only', (name, config) => {
    const secret = listVariables(config).filter((facts) => facts.secret);
    const given = containerOf(name).env.map((each) => each.name);
    expect(secret.filter(({ variable }) => given.includes(variable))).toEqual([]);
  });

  it.each(Object.keys(PROGRAMS))('%s: has no rights that it does not need, and limits', (name) => {
    expect(podOf(name)).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(containerOf(name)).toMatchObject({
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
      resources: {
        requests: { cpu: expect.anything(), memory: expect.anything() },
        limits: { cpu: expect.anything(), memory: expect.anything() },
      },
    });
  });

  it.each(Object.entries(SERVICES))(
    '%s: ports are those of the code, and it has time to drain',
    (name, config) => {
      const { port, drainTimeoutMs } = new config();
      const { env, ports, lifecycle } = containerOf(name);
      expect(ports).toMatchObject([{ containerPort: port }]);
      expect(env).toContainEqual({ name: 'SLUICE_PORT', value: String(port) });
      expect(manifestOf('Service', name).spec.ports).toMatchObject([{ port }]);
      const graceMs =
        ((podOf(name).terminationGracePeriodSeconds ?? 0) - (lifecycle?.preStop.sleep.seconds ?? 0)) * 1000;
      expect(graceMs).toBeGreaterThan(drainTimeoutMs);
      expect(containerOf(name)).toMatchObject({
        startupProbe: { httpGet: { path: '/health/live' } },
        livenessProbe: { httpGet: { path: '/health/live' } },
        readinessProbe: { httpGet: { path: '/health/ready' } },
      });
      expect(manifestOf('PodDisruptionBudget', name).spec).toMatchObject({ maxUnavailable: 1 });
    },
  );
});

function manifestOf(kind: string, name: string): Manifest {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === `sluice-${name}`);
  if (found === undefined) throw new TypeError(`k8s/base has no ${kind} sluice-${name}`);
  return found;
}

function podOf(name: string): NonNullable<Manifest['spec']['template']>['spec'] {
  const { template } = manifestOf(name === 'migrate' ? 'Job' : 'Deployment', name).spec;
  if (template === undefined) throw new TypeError(`sluice-${name} has no pods`);
  return template.spec;
}

function containerOf(name: string): Container {
  const [container] = podOf(name).containers;
  if (container === undefined) throw new TypeError(`sluice-${name} has no container`);
  return container;
}
