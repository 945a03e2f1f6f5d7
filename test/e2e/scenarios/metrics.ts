/** What the services export is what the catalogue promises, by name, type and label. */
import { expect, it } from '@jest/globals';
import { METRICS, type MetricFacts, type MetricSource } from '#common/telemetry/metric-catalogue.js';
import { scenario } from './scenario.js';

const SERVICES = ['ingestor', 'validator', 'loader', 'tracker'] as const satisfies readonly MetricSource[];
const CATALOGUE = Object.entries<MetricFacts>(METRICS);

export const metrics = scenario('metrics', {}, (running) => {
  it.each(SERVICES)('of the %s are those of the catalogue, and no others', async (service) => {
    const text = await (await fetch(`${running().urlOf(service)}/metrics`)).text();
    const types = [...text.matchAll(/^# TYPE (sluice_\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]);
    const promised = CATALOGUE.filter(([, { from }]) => from.includes(service));
    expect(types.sort()).toEqual(promised.map(([name, { type }]) => [name, type]).sort());
    for (const [, series = '', labels = ''] of text.matchAll(/^(sluice_\w+)\{(.*)\} \S+$/gm)) {
      const name = series in METRICS ? series : series.replace(/_(bucket|sum|count)$/, '');
      const known: readonly string[] = [
        'service',
        'le',
        ...(CATALOGUE.find(([known]) => known === name)?.[1].labels ?? []),
      ];
      const given = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label);
      expect(given.filter((label) => !known.includes(label ?? ''))).toEqual([]);
    }
  });
});
