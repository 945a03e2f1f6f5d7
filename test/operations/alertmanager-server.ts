/** A real Alertmanager for a test. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PortChooser } from '#local/free-ports.js';
import type { RunFolder } from '../support/run-folder.js';
import type { AlertmanagerProgram } from './prometheus-tools.js';

export interface AlertmanagerServer {
  /** `127.0.0.1:9093` */
  readonly address: string;
  get<T>(path: string): Promise<T>;
  /** Sum of one of its own metrics over the series that hold every label. */
  metric(name: string, label: string): Promise<number>;
  readonly logFile: string;
  /** Sends alerts as Prometheus does; the summary of each is its name and dataset. */
  send(
    labels: readonly { readonly alertname: string; readonly dataset: string; readonly severity: string }[],
  ): Promise<void>;
}

/**
 * @param run ends it
 * @param config its text
 * @param mark a part of it that no other Alertmanager has
 */
export async function startAlertmanager(
  { program, templates }: AlertmanagerProgram,
  run: RunFolder,
  config: string,
  mark: string,
): Promise<AlertmanagerServer> {
  const folder = join(run.path, 'alertmanager');
  mkdirSync(folder, { recursive: true });
  cpSync(templates, join(folder, 'templates'), { recursive: true });
  const file = join(folder, 'alertmanager.yml');
  const logFile = join(folder, 'alertmanager.log');
  writeFileSync(file, config);
  const port = await new PortChooser({ reserves: true }).choose();
  const address = `127.0.0.1:${port}`;
  const url = `http://${address}`;
  const get = async <T>(path: string): Promise<T> => (await (await fetch(url + path)).json()) as T;
  await run.start({
    name: 'alertmanager',
    command: program,
    args: [
      `--config.file=${file}`,
      '--storage.path=data',
      `--web.listen-address=${address}`,
      // Empty: no port for other Alertmanagers.
      '--cluster.listen-address=',
      '--log.level=warn',
    ],
    cwd: folder,
    port,
    logFile,
    probe: async () => {
      const status = await get<{ config: { original: string } }>('/api/v2/status');
      if (!status.config.original.includes(mark)) throw new Error(`${address} is another Alertmanager`);
    },
    stopSteps: [{ signal: 'SIGTERM', waitMs: 10_000 }],
  });
  return {
    address,
    logFile,
    get,
    metric: async (name, label) => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    send: async (labels) => {
      const { ok, status } = await fetch(`${url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(
          labels.map((each) => ({
            labels: each,
            annotations: { summary: `${each.alertname} ${each.dataset}` },
          })),
        ),
      });
      if (!ok) throw new Error(`Alertmanager says ${status}`);
    },
  };
}
