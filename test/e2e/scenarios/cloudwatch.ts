/** The metric filters of deploy/aws count the log of real services, which is what CloudWatch would see. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { metricsOf } from '../../operations/cloudwatch-template.js';
import { eventually } from '../../support/eventually.js';
import { runJob } from '../../support/run-job.js';
import { fileOf, row, rows } from '../../support/small-file.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

type Line = Readonly<Record<string, unknown>>;

export const cloudwatch = scenario('metrics of CloudWatch', {}, (running) => {
  it('count what a job that succeeds, and one whose source is wrong, have logged', async () => {
    const system = running();
    const good = join(system.folder, 'counted.csv');
    writeFileSync(good, fileOf(...rows(5)));
    const bad = join(system.folder, 'not-counted.csv');
    writeFileSync(bad, row(1));
    const jobs: string[] = [];
    for (const [source, state] of [
      [good, 'succeeded'],
      [bad, 'failed'],
    ] as const) {
      const job = await runJob(system, { dataset: 'tax-registration', source, allowShrink: true });
      expect(job).toMatchObject({ state });
      jobs.push(job.id);
    }
    // The end of a job is announced, and with that logged, after its row says that it has ended.
    const lines = await eventually(() => {
      const found = linesOf(system).filter(({ job }) => jobs.includes(String(job)));
      return found.filter(({ ended }) => ended !== undefined).length === jobs.length && found;
    }, 'the lines of both ends');
    expect(metricsOf(lines)).toEqual({ Errors: 0, JobsSucceeded: 1, JobsFailed: 1, Records: 5 });
    expect(lines.every(({ level, service }) => level !== undefined && service !== undefined)).toBe(true);
  });
});

/** Of all services: every line is one JSON object. */
function linesOf(system: System): Line[] {
  return system.services.flatMap((name) =>
    system
      .logsOf(name)
      .split('\n')
      // The last line may be half written.
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line),
  );
}
