/** One job as its trace shows it, from four processes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import type { OtlpReceiver, ReceivedSpan } from '../../support/otlp-receiver.js';
import { counter, runJob } from '../../support/run-job.js';
import { type Scenario, scenario } from './scenario.js';

const DATASET = 'traced';
const SECRET = 'content-of-a-record';
const FILES: Readonly<Record<string, string>> = {
  [`${DATASET}/README.md`]: '# traced\n',
  [`${DATASET}/migrations/001-tables.sql`]:
    'CREATE TABLE public.traced (id text PRIMARY KEY, word text NOT NULL);',
  [`${DATASET}/dataset.js`]: `
    import { Column, Table } from '#core/dataset/columns.js';
    import { defineDataset } from '#core/dataset/define-dataset.js';
    class Traced {}
    Column()(Traced.prototype, 'id');
    Column()(Traced.prototype, 'word');
    Table({ name: 'traced', key: ['id'] })(Traced);
    export default defineDataset({ name: '${DATASET}', title: 'Traced', format: 'csv', contract: Traced });`,
};
/** Seven records are three batches. */
const CONTENT = ['id,word', ...Array.from({ length: 7 }, (_, id) => `${id},${SECRET}`), ''].join('\n');

/** @param receiver where the services send their spans; stopped at the end */
export function traces(receiver: OtlpReceiver): Scenario {
  return scenario('traces', FILES, (running) => {
    afterAll(() => receiver.stop());

    it('go from the source to the tables, and hold nothing of a record', async () => {
      const source = join(running().folder, 'traced.csv');
      writeFileSync(source, CONTENT);
      const { id } = await runJob(running(), { dataset: DATASET, mode: 'replace', source });
      const named = (name: string): ReceivedSpan[] => receiver.of(id).filter((span) => span.name === name);
      await eventually(
        () => named('job').length > 0 && named('finalize swap').length > 0,
        'the end of the job',
      );
      await eventually(() => named('publish').length === 3 && named('validate').length === 3, 'all batches');
      await eventually(() => named('ingest').length === 1 && named('copy').length > 0, 'the other stages');
      const [job] = named('job');
      expect(job).toMatchObject({ parentSpanId: '', attributes: { 'sluice.state': 'succeeded' } });
      const [ingest] = named('ingest');
      expect(ingest).toMatchObject({
        parentSpanId: job?.spanId,
        isFailed: false,
        resource: { 'service.name': 'sluice-ingestor' },
        attributes: { 'sluice.dataset': DATASET, 'sluice.job': id },
      });
      const published = named('publish');
      expect(published.map(({ parentSpanId }) => parentSpanId)).toEqual(published.map(() => ingest?.spanId));
      const validated = named('validate');
      expect(validated.map(({ parentSpanId }) => parentSpanId).sort()).toEqual(
        published.map(({ spanId }) => spanId).sort(),
      );
      const loaded = named('load');
      expect(loaded.flatMap(({ links }) => links).sort()).toEqual(
        validated.map(({ spanId }) => spanId).sort(),
      );
      const groups = loaded.map(({ spanId }) => spanId);
      for (const { parentSpanId } of [...named('copy'), ...named('commit')])
        expect(groups).toContain(parentSpanId);
      expect(named('finalize swap')[0]).toMatchObject({ parentSpanId: job?.spanId });
      expect(receiver.bodies.join()).not.toContain(SECRET);
      for (const service of ['ingestor', 'validator', 'loader'])
        expect(
          await counter(running(), service, 'sluice_trace_spans_total', 'outcome="exported"'),
        ).toBeGreaterThan(0);
    });
  });
}
