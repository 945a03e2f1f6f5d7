import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { METRICS, type MetricFacts, type MetricName } from '#common/telemetry/metric-catalogue.js';
import { ROOT } from './markdown-files.js';

const CATALOGUE: readonly [string, MetricFacts][] = Object.entries(METRICS);
/** The only module that names the classes of prom-client to make a metric of them. */
const MAKER = join('libs', 'common', 'src', 'telemetry', 'metrics.ts');

describe('the catalogue of metrics', () => {
  it('lists what the services make, and nothing else', () => {
    const made = sources().flatMap(({ text }) => [...text.matchAll(/registry,\s*'(sluice_\w+)'/g)]);
    expect(made.map(([, name]) => name).sort()).toEqual(Object.keys(METRICS).sort());
  });

  it('names the service whose code makes the metric', () => {
    for (const { file, text } of sources()) {
      const [top, app] = file.split(/[/\\]/);
      if (top !== 'apps') continue;
      for (const [, name] of text.matchAll(/registry,\s*'(sluice_\w+)'/g))
        expect({ name, from: METRICS[name as MetricName].from }).toEqual({ name, from: [app] });
    }
  });

  it('is the only way to a metric', () => {
    const others = sources().filter(
      ({ file, text }) => file !== MAKER && /new (Counter|Gauge|Histogram|Summary)\b/.test(text),
    );
    expect(others.map(({ file }) => file)).toEqual([]);
  });

  it('keeps to the conventions of Prometheus', () => {
    for (const [name, { type, unit, labels }] of CATALOGUE) {
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
      if (unit === 'seconds' || unit === 'bytes') expect(name).toMatch(new RegExp(`_${unit}(_total)?$`));
      expect(labels.filter((label) => /(^|_)(id|job|key|le|service|instance)$/.test(label))).toEqual([]);
    }
  });
});

interface Source {
  /** From the top folder. */
  readonly file: string;
  readonly text: string;
}

function sources(): Source[] {
  return ['apps', 'libs'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .map((file) => join(folder, String(file)))
      .filter((file) => file.endsWith('.ts') && !file.endsWith('spec.ts'))
      .map((file) => ({ file, text: readFileSync(join(ROOT, file), 'utf8') })),
  );
}
