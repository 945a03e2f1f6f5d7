/**
 * Parts that are away delay a job and change nothing about its outcome (G4, G8, G10): each is taken away in the
 * middle of a job, and the tables are what the oracle says.
 */
import { createReadStream } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { expectReport, expectTables } from '../support/expect-tables.js';
import { generatedFile } from '../support/generated-file.js';
import { type Expectation, expectFile } from '../support/oracle.js';
import { clientOf, jobEnd } from '../support/run-job.js';
import { type System, startSystem } from '../support/system.js';

describe('a part that is away in the middle of a job', () => {
  let system: System;
  let file: { path: string; bytes: Buffer };
  let expected: Expectation;

  beforeAll(async () => {
    system = await startSystem({
      ownPostgres: true,
      env: {
        SLUICE_BATCH_BYTES: String(32 * 1024),
        SLUICE_SOURCE_IDLE_TIMEOUT_MS: '120000',
        // What was killed is missed after so long.
        SLUICE_SESSION_TIMEOUT_MS: '6000',
        SLUICE_LEASE_SECONDS: '5',
        SLUICE_FINALIZE_LEASE_SECONDS: '5',
      },
    });
    file = generatedFile(system, { rows: 10_000, seed: 7, defectShare: 0.02, repeatShare: 0.005 });
    expected = expectFile(file.bytes);
  });

  afterAll(() => system.stop());

  const sources: { close: () => Promise<void> }[] = [];

  afterEach(async () => {
    for (const source of sources.splice(0)) await source.close();
  });

  /** Starts a job whose source holds back its second half until it is told to go on. */
  async function jobHalfWay(): Promise<{ id: string; goOn: () => void }> {
    const source = await halfWaySource(file.path, file.bytes.length);
    sources.push(source);
    const { id } = await clientOf(system).startJob({ dataset: 'tax-registration', source: source.url });
    await eventually(async () => {
      const { stages } = await clientOf(system).job(id);
      return stages.some(({ stage, batches }) => stage === 'load' && batches > 0);
    }, 'the first batches to be loaded');
    return { id, goOn: source.goOn };
  }

  async function expectOutcome(id: string): Promise<void> {
    await expectReport(system, await jobEnd(system, id), expected);
    await expectTables(system, expected);
  }

  it.each(['kafka', 'postgres'])('%s', async (part) => {
    const job = await jobHalfWay();
    await system.kill(part);
    job.goOn();
    const services = ['ingestor', 'loader'];
    await eventually(
      async () =>
        (await Promise.all(services.map((name) => fetch(`${system.urlOf(name)}/health/ready`)))).some(
          ({ ok }) => !ok,
        ),
      'a service to say that it waits',
    );
    for (const name of services) expect((await fetch(`${system.urlOf(name)}/health/live`)).ok).toBe(true);
    await system.restart(part);
    await expectOutcome(job.id);
  });

  it.each(['ingestor', 'validator', 'loader', 'tracker'])('%s, by kill -9', async (part) => {
    const job = await jobHalfWay();
    await system.kill(part);
    job.goOn();
    await system.restart(part);
    await expectOutcome(job.id);
  });
});

/** Serves a file over HTTP; every first answer stops half-way until `goOn`. Without Range, so that all is read again. */
async function halfWaySource(
  path: string,
  bytes: number,
): Promise<{ url: string; goOn: () => void; close: () => Promise<void> }> {
  let goOn = (): void => undefined;
  const told = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const half = Math.floor(bytes / 2);
  const server: Server = createServer((_, response: ServerResponse) => {
    response.writeHead(200, { 'content-length': bytes });
    createReadStream(path, { end: half - 1 })
      .on('end', () => {
        void told.then(() => createReadStream(path, { start: half }).pipe(response));
      })
      .pipe(response, { end: false });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/source.csv`,
    goOn,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
