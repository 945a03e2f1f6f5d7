/** A real Prometheus for a test: it scrapes and evaluates twice a second, and keeps its data in the test's folder. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { PortChooser } from '#local/free-ports.js';
import { eventually } from '../support/eventually.js';
import type { RunFolder } from '../support/run-folder.js';

const INTERVAL = '500ms';

export interface PrometheusOptions {
  /** Of `/metrics`: `127.0.0.1:3001`. */
  readonly targets: readonly string[];
  /** Paths of rule files. */
  readonly rules: readonly string[];
  /** Where alerts are sent: `127.0.0.1:9093`. */
  readonly alertmanager?: string;
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** Time in seconds since 1970, and the value as text. */
  readonly values: readonly (readonly [number, string])[];
}

/** @param program of `prometheusProgram()` @param run ends it */
export async function startPrometheus(
  program: string,
  run: RunFolder,
  { targets, rules, alertmanager }: PrometheusOptions,
): Promise<PrometheusServer> {
  const folder = join(run.path, 'prometheus');
  mkdirSync(folder, { recursive: true });
  const port = await new PortChooser({ reserves: true }).choose();
  const config = {
    global: { scrape_interval: INTERVAL, evaluation_interval: INTERVAL },
    rule_files: rules,
    // Sluice's own label `service` stays, as docs/operations.md demands it.
    scrape_configs: [{ job_name: 'sluice', honor_labels: true, static_configs: [{ targets }] }],
    ...(alertmanager !== undefined && {
      alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
    }),
  };
  const file = join(folder, 'prometheus.yml');
  writeFileSync(file, stringify(config));
  const data = join(folder, 'data');
  const server = new PrometheusServer(`http://127.0.0.1:${port}`, targets.length);
  await run.start({
    name: 'prometheus',
    command: program,
    args: [
      `--config.file=${file}`,
      `--storage.tsdb.path=${data}`,
      `--web.listen-address=127.0.0.1:${port}`,
      // What fires is sent again at once, so that a test need not wait a minute to see it repeated.
      `--rules.alert.resend-delay=${INTERVAL}`,
      '--log.level=warn',
    ],
    cwd: folder,
    port,
    logFile: join(folder, 'prometheus.log'),
    probe: () => server.expectDataIn(data),
    stopSteps: [{ signal: 'SIGTERM', waitMs: 10_000 }],
  });
  return server;
}

export class PrometheusServer {
  constructor(
    /** Its address. */
    readonly url: string,
    private readonly targets: number,
  ) {}

  /** The course of an expression with a step of a second, up to now. @param from in seconds since 1970 */
  async range(expr: string, from: number): Promise<readonly Series[]> {
    const now = Date.now() / 1_000;
    // A whole number of steps: the last one is now.
    const form = { query: expr, start: String(now - Math.ceil(now - from)), end: String(now), step: '1' };
    const { result } = await this.ask<{ result: readonly Series[] }>('query_range', form);
    return result;
  }

  /** Now: values by the labels, `name=value` sorted and with spaces between. */
  async values(expr: string): Promise<Readonly<Record<string, number>>> {
    const { result } = await this.ask<{
      result: readonly { metric: Readonly<Record<string, string>>; value: readonly [number, string] }[];
    }>('query', { query: expr });
    return Object.fromEntries(
      result.map(({ metric, value }) => [
        Object.entries(metric)
          .map(([label, of]) => `${label}=${of}`)
          .sort()
          .join(' '),
        Number(value[1]),
      ]),
    );
  }

  /** The labels of all series of the last hour that a selector matches, `__name__` among them. */
  series(selector: string): Promise<readonly Readonly<Record<string, string>>[]> {
    return this.ask('series', { 'match[]': selector });
  }

  /** Waits until each target was scraped `times` times more. */
  async scraped(times: number): Promise<void> {
    const scrapes = async (): Promise<number> => {
      const counts = Object.values(await this.values('count_over_time(up[1h]) and up == 1'));
      return counts.length === this.targets ? Math.min(...counts) : 0;
    };
    const before = await scrapes();
    await eventually(async () => (await scrapes()) >= before + times, `${times} scrapes of each target`);
  }

  /** @throws while another program, or nothing, answers */
  async expectDataIn(folder: string): Promise<void> {
    const flags = await this.ask<Readonly<Record<string, string>>>('status/flags');
    if (flags['storage.tsdb.path'] !== folder) throw new Error(`${this.url} is another Prometheus`);
    const ready = await fetch(`${this.url}/-/ready`);
    if (!ready.ok) throw new Error(`Prometheus says ${ready.status}`);
  }

  private async ask<T>(path: string, form?: Readonly<Record<string, string>>): Promise<T> {
    const request = form && { method: 'POST', body: new URLSearchParams(form) };
    const answer = await fetch(`${this.url}/api/v1/${path}`, request);
    const { status, data, error } = (await answer.json()) as { status: string; data: T; error?: string };
    if (status !== 'success') throw new Error(`Prometheus refuses ${JSON.stringify(form)}: ${error ?? ''}`);
    return data;
  }
}
