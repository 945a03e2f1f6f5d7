import { describe, expect, it } from '@jest/globals';
import { ConnectionConfig } from '#common/config/connection.config.js';
import { listVariables } from '#common/config/environment.js';
import { TraceConfig } from '#common/telemetry/tracing/trace.config.js';
import { renderedWith } from './rendered.js';

/** What a port with a certificate, and traces, need of a cluster: the base has neither. */
for (const overlay of renderedWith('https', 'traces')) {
  describe(overlay.name, () => {
    const services = overlay.workloads().filter(({ labels }) => labels['sluice'] === 'service');

    it('asks the probes, and the metrics, by HTTPS', () => {
      expect(services).toHaveLength(4);
      for (const { pod } of services)
        expect(pod.containers[0]).toMatchObject({
          startupProbe: { httpGet: { scheme: 'HTTPS' } },
          livenessProbe: { httpGet: { scheme: 'HTTPS' } },
          readinessProbe: { httpGet: { scheme: 'HTTPS' } },
        });
      expect(overlay.find('ServiceMonitor', 'sluice').spec).toMatchObject({
        endpoints: [{ path: '/metrics', scheme: 'https', tlsConfig: { ca: { secret: { key: 'ca.crt' } } } }],
      });
    });

    it('gives each service the certificate and its key, as files of a Secret', () => {
      const known = listVariables(ConnectionConfig).map(({ variable }) => `${variable}_FILE`);
      for (const { pod } of services) {
        const { env } = pod.containers[0];
        const given = env.filter(({ name }) => name.startsWith('SLUICE_TLS_'));
        expect(given.map(({ value }) => value)).toEqual(
          ['tls.crt', 'tls.key'].map((key) => `/run/secrets/sluice/${key}`),
        );
        expect(given.filter(({ name }) => !known.includes(name))).toEqual([]);
        const secrets = pod.volumes.flatMap(({ projected }) => projected?.sources ?? []);
        expect(secrets).toContainEqual({ secret: { name: 'sluice-https' } });
      }
    });

    it('sends spans of the services that have some, and lets them through', () => {
      const [{ variable } = { variable: '' }] = listVariables(TraceConfig);
      const traced = services.flatMap(({ name, pod }) => {
        const url = pod.containers[0].env.find((each) => each.name === variable)?.value;
        return url === undefined ? [] : [{ name, port: Number(new URL(url).port) }];
      });
      const names = ['sluice-ingestor', 'sluice-loader', 'sluice-validator'];
      expect(traced.sort((a, b) => a.name.localeCompare(b.name))).toEqual(
        names.map((name) => ({ name, port: 4318 })),
      );
      expect(overlay.find('NetworkPolicy', 'sluice-traces').spec).toMatchObject({
        podSelector: { matchExpressions: [{ key: 'app', values: expect.arrayContaining(names) }] },
        egress: [{ ports: [{ port: 4318, protocol: 'TCP' }] }],
      });
    });
  });
}
