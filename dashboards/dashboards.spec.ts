import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Registry, collectDefaultMetrics } from 'prom-client';
import { parse, stringify } from 'yaml';
import { METRICS, type MetricFacts } from '#common/telemetry/metric-catalogue.js';
import { runToEnd } from '#local/start-process.js';
import { ROOT } from '../test/docs/markdown-files.js';
import {
  type ShownPanel,
  filledIn,
  panelQueries,
  shownDashboards,
} from '../test/operations/panel-queries.js';
import { promtool } from '../test/operations/prometheus-tools.js';
import { dashboardFiles } from './dashboards.js';

const CATALOGUE: Readonly<Record<string, MetricFacts>> = METRICS;
/** Of Prometheus itself, and what alerts/sluice.rules.yml records. */
const OF_RULES = ['ALERTS', 'sluice:alert_rules'];
/** Metrics that no panel and no alert shows, each with its reason. */
const NOT_SHOWN: Readonly<Record<string, string>> = {};

interface Rule {
  readonly alert?: string;
  readonly expr: string;
}
const { groups } = parse(readFileSync(join(ROOT, 'alerts/sluice.rules.yml'), 'utf8')) as {
  groups: { rules: Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const shown = shownDashboards();
const queries = panelQueries();

describe('dashboards', () => {
  it('stand in dashboards/json as `npm run dashboards` writes them, and no others', () => {
    const files = dashboardFiles(ROOT);
    for (const { file, text } of files)
      expect({ file, text: readFileSync(join(ROOT, file), 'utf8') }).toEqual({ file, text });
    const stored = readdirSync(join(ROOT, 'dashboards/json')).map((name) => `dashboards/json/${name}`);
    expect(stored.sort()).toEqual(files.map(({ file }) => file).sort());
  });

  it.each(shown.map((dashboard) => [dashboard.title, dashboard] as const))(
    '%s: every panel has a title of its own, a description and a unit, and every link leads somewhere',
    (_title, { panels, links, tags }) => {
      const titles = panels.map(({ title }) => title);
      expect(titles.filter((title, at) => title === undefined || titles.indexOf(title) !== at)).toEqual([]);
      for (const panel of panels.filter(({ type }) => type !== 'text')) {
        const { title, description, fieldConfig, datasource, targets = [] } = panel;
        expect({ title, description }).toEqual({
          title,
          description: expect.stringMatching(/^[A-Z0-9].*\.$/),
        });
        expect({ title, unit: fieldConfig?.defaults.unit }).toEqual({ title, unit: expect.any(String) });
        expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
        expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
        expect(targets.length).toBeGreaterThan(0);
      }
      expect(tags).toEqual(['sluice']);
      const addresses = [...links, ...panels.flatMap((panel) => panel.links ?? [])].flatMap(
        ({ url }) => url ?? [],
      );
      expect(addresses.filter((url) => !shown.some(({ uid }) => url === `/d/${uid}`))).toEqual([]);
      expect(links.some((link) => link.tags.includes('sluice'))).toBe(true);
    },
  );

  it('have a runbook for each alert, and name only alerts that there are', () => {
    const names = rules.flatMap(({ alert }) => alert ?? []).sort();
    const pages = shown.find(({ uid }) => uid === 'sluice-runbooks')?.panels ?? [];
    expect(pages.flatMap(({ title = '' }) => (title === 'Runbooks' ? [] : title)).sort()).toEqual(names);
    const named = shown.flatMap(({ panels }) => panels.flatMap(runbooksOf));
    expect(named.filter((name) => !names.includes(name))).toEqual([]);
    const described = JSON.stringify(shown).match(/\bSluice[A-Z]\w+/g) ?? [];
    expect(described.filter((name) => !names.includes(name))).toEqual([]);
  });

  it('turn red where the alert fires that they lead to', () => {
    const compared = shown.flatMap(({ panels }) =>
      panels.flatMap((panel) => runbooksOf(panel).map((name) => ({ name, from: redFrom(panel) }))),
    );
    const limits = compared.filter(({ from }) => from !== undefined && from > 1);
    expect(limits.length).toBeGreaterThan(4);
    for (const { name, from } of limits) {
      const { expr = '' } = rules.find(({ alert }) => alert === name) ?? {};
      expect({ name, limits: numbersOf(expr) }).toEqual({ name, limits: expect.arrayContaining([from]) });
    }
  });

  it('name metrics that there are, with labels that these have', () => {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const ofNode = new Set(registry.getMetricsAsArray().map(({ name }) => name));
    for (const { panel, expr } of queries) {
      const used = selectorsOf(expr);
      expect({ panel, used: used.length }).not.toEqual({ panel, used: 0 });
      const labels = new Set(['le', 'service', 'instance', 'alertname']);
      for (const { name, filtered } of used) {
        if (OF_RULES.includes(name)) continue;
        if (!(name in CATALOGUE)) {
          expect({ panel, name, isOfNode: ofNode.has(name) }).toEqual({ panel, name, isOfNode: true });
          continue;
        }
        const own = [...(CATALOGUE[name]?.labels ?? []), 'service', 'instance'];
        for (const label of own) labels.add(label);
        expect({ panel, name, unknown: filtered.filter((label) => !own.includes(label)) }).toEqual({
          panel,
          name,
          unknown: [],
        });
      }
      const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '));
      expect({ panel, unknown: grouped.filter((label) => !labels.has(label)) }).toEqual({
        panel,
        unknown: [],
      });
    }
  });

  it('or the alerts show every metric of the catalogue', () => {
    const used = new Set(
      [...queries, ...rules].flatMap(({ expr }) => selectorsOf(expr).map(({ name }) => name)),
    );
    const unused = Object.keys(CATALOGUE).filter((name) => !used.has(name));
    expect(unused.sort()).toEqual(Object.keys(NOT_SHOWN).sort());
  });

  it('have queries that Prometheus can read', async () => {
    const program = await promtool();
    if (program === null) return;
    const folder = mkdtempSync(join(tmpdir(), 'sluice-queries-'));
    const file = join(folder, 'queries.yml');
    const recorded = queries.map(({ expr }, at) => ({ record: `query:${at}`, expr: filledIn(expr, '5m') }));
    writeFileSync(file, stringify({ groups: [{ name: 'panels', rules: recorded }] }));
    try {
      const { code, stdout, stderr } = await runToEnd(program, ['check', 'rules', file]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`${queries.length} rules found`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** The metrics that an expression selects, a histogram by its own name, and the labels by which it does. */
function selectorsOf(expr: string): { readonly name: string; readonly filtered: readonly string[] }[] {
  const selectors = expr.matchAll(/\b(sluice[:_]\w+|ALERTS|process_\w+|nodejs_\w+)(?:\{([^}]*)\})?/g);
  return [...selectors].map(([, name = '', filter = '']) => ({
    name: baseName(name),
    filtered: [...filter.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label),
  }));
}

function baseName(name: string): string {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return CATALOGUE[base]?.type === 'histogram' || base === 'nodejs_gc_duration_seconds' ? base : name;
}

function runbooksOf({ links = [] }: ShownPanel): string[] {
  return links.flatMap(({ title }) => /^Runbook: (\w+)$/.exec(title)?.[1] ?? []);
}

function redFrom({ fieldConfig }: ShownPanel): number | undefined {
  const red = fieldConfig?.defaults.thresholds?.steps.find(
    ({ color, value }) => color === 'red' && value !== null,
  );
  return red?.value ?? undefined;
}

/** Those that an expression compares with; products are multiplied. */
function numbersOf(expr: string): number[] {
  const limits = expr.matchAll(/[<>]=? (\d+(?: \* \d+)*)/g);
  return [...limits].map(([, product = '']) =>
    product.split(' * ').reduce((result, factor) => result * Number(factor), 1),
  );
}
