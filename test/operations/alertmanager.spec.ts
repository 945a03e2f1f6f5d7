/**
 * From a failed job to a mail, with real parts: metrics of the catalogue, Prometheus with the rules as they are, Alertmanager
 * with alerts/alertmanager.example.yml, an SMTP server and a webhook. Of the example the addresses are others and the waits
 * shorter; the rules are loaded unchanged.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { SMTPServer } from 'smtp-server';
import { parse, stringify } from 'yaml';
import { gauge } from '#common/telemetry/metrics.js';
import { ROOT } from '../docs/markdown-files.js';
import { eventually } from '../support/eventually.js';
import { RunFolder } from '../support/run-folder.js';
import { type AlertmanagerServer, startAlertmanager } from './alertmanager-server.js';
import { startPrometheus } from './prometheus-server.js';
import { alertmanagerProgram, prometheusProgram } from './prometheus-tools.js';

const DATASET = 'customers';

interface Notification {
  readonly status: string;
  readonly alerts: readonly { readonly status: string; readonly labels: Readonly<Record<string, string>> }[];
}

describe('Alertmanager with the example configuration', () => {
  const run = new RunFolder('alerts');
  const mails: string[] = [];
  const calls: Notification[] = [];
  const registry = new Registry();
  const jobs = gauge(registry, 'sluice_jobs');
  const endings: (() => Promise<void>)[] = [];
  let alertmanager: AlertmanagerServer | null = null;

  beforeAll(async () => {
    const [prometheus, program] = [await prometheusProgram(), await alertmanagerProgram()];
    if (prometheus === null || program === null) return;
    const mailPort = await startMailServer();
    const webhook = await serve((body) => {
      calls.push(JSON.parse(body) as Notification);
      return Promise.resolve('');
    });
    jobs.set({ dataset: DATASET, state: 'failed' }, 0);
    const exporter = await serve(() => registry.metrics());
    alertmanager = await startAlertmanager(program, run, exampleWith(mailPort, webhook), webhook);
    const server = await startPrometheus(prometheus, run, {
      targets: [exporter],
      rules: [join(ROOT, 'alerts/sluice.rules.yml')],
      alertmanager: alertmanager.address,
    });
    await server.scraped(1);
  });

  afterAll(async () => {
    await run.remove();
    for (const end of endings) await end();
  });

  it('is read without a warning', () => {
    if (alertmanager === null) return;
    expect(readFileSync(alertmanager.logFile, 'utf8')).toBe('');
  });

  it('sends one mail and one call when a job fails, nothing while it stays so, and one of each when it is resumed', async () => {
    if (alertmanager === null) return;
    const { metric } = alertmanager;
    const received = (status: string): Promise<number> =>
      metric('alertmanager_alerts_received_total', `status="${status}"`);
    jobs.set({ dataset: DATASET, state: 'failed' }, 1);
    await eventually(() => mails.length === 1 && calls.length === 1, 'the mail and the call');
    expect(mails[0]).toContain(`Subject: [FIRING] A job of ${DATASET} failed.`);
    expect(mails[0]).toContain('To: data-team@example.org');
    expect(mails[0]).toContain('docs/runbooks.md#sluicejobfailed');

    // A second job fails meanwhile, and Prometheus sends the alert again and again.
    jobs.set({ dataset: DATASET, state: 'failed' }, 2);
    const before = await received('firing');
    await eventually(async () => (await received('firing')) >= before + 3, 'three more alerts of Prometheus');
    expect([mails.length, calls.length]).toEqual([1, 1]);

    jobs.set({ dataset: DATASET, state: 'failed' }, 0);
    await eventually(() => mails.length === 2 && calls.length === 2, 'the recovery');
    expect(mails[1]).toContain(`Subject: [RESOLVED] A job of ${DATASET} failed.`);
    const resolved = await received('resolved');
    await eventually(async () => (await received('resolved')) >= resolved + 3, 'three more recoveries');
    expect(mails).toHaveLength(2);
    expect(calls.map(({ status, alerts }) => [status, alerts.map(({ labels }) => labels)])).toEqual(
      ['firing', 'resolved'].map((status) => [
        status,
        [expect.objectContaining({ alertname: 'SluiceJobFailed', dataset: DATASET, severity: 'page' })],
      ]),
    );
  });

  it('keeps back what another alert explains, of the same dataset only', async () => {
    if (alertmanager === null) return;
    const { send, get } = alertmanager;
    await send([
      { alertname: 'SluiceStreamPaused', dataset: 'orders', severity: 'page' },
      { alertname: 'SluiceStreamLatency', dataset: 'orders', severity: 'page' },
      { alertname: 'SluiceStreamLatency', dataset: 'invoices', severity: 'page' },
    ]);
    await eventually(async () => {
      const alerts =
        await get<readonly { labels: Record<string, string>; status: { state: string } }[]>('/api/v2/alerts');
      const suppressed = alerts.filter(({ status }) => status.state === 'suppressed');
      const [only, ...others] = suppressed.map(({ labels }) => [labels['alertname'], labels['dataset']]);
      return others.length === 0 && only?.join(' ') === 'SluiceStreamLatency orders';
    }, 'the alert that another one explains to be suppressed');
    await eventually(() => mails.length >= 4, 'a mail of each other alert');
    const subjects = mails.slice(2).map((mail) => /^Subject: (.*)$/m.exec(mail)?.[1]?.trim());
    expect(subjects.sort()).toEqual([
      '[FIRING] SluiceStreamLatency invoices',
      '[FIRING] SluiceStreamPaused orders',
    ]);
  });

  async function startMailServer(): Promise<number> {
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS', 'AUTH'],
      onData: (stream, _session, done) => {
        text(stream).then((mail) => {
          mails.push(mail);
          done();
        }, done);
      },
    });
    const listener = server.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    endings.push(
      () =>
        new Promise((resolve) => {
          server.close(resolve);
        }),
    );
    return (listener.address() as AddressInfo).port;
  }

  /** @returns the address of an HTTP server that answers each request with what `answer` makes of its body */
  async function serve(answer: (body: string) => Promise<string>): Promise<string> {
    const server: Server = createServer((request, response) => {
      text(request)
        .then(answer)
        .then(
          (body) => response.end(body),
          () => response.writeHead(500).end(),
        );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    endings.push(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** The example with the test's addresses, without TLS, and waits of a part of a second. */
  function exampleWith(mailPort: number, webhook: string): string {
    const example = parse(readFileSync(join(ROOT, 'alerts/alertmanager.example.yml'), 'utf8')) as {
      global: Record<string, unknown>;
      route: Record<string, unknown>;
      receivers: { webhook_configs?: Record<string, unknown>[] }[];
    };
    Object.assign(example.global, { smtp_smarthost: `127.0.0.1:${mailPort}`, smtp_require_tls: false });
    Object.assign(example.route, { group_wait: '200ms', group_interval: '500ms' });
    for (const { webhook_configs: hooks = [] } of example.receivers)
      for (const hook of hooks) hook['url'] = `http://${webhook}/`;
    return stringify(example);
  }
});
