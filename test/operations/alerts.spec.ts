import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { runToEnd } from '#local/start-process.js';
import { ROOT, markdownFile } from '../docs/markdown-files.js';
import { promtool } from './prometheus-tools.js';

interface RecordingRule {
  readonly record: string;
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

const RULES = 'alerts/sluice.rules.yml';
const CATALOGUE = 'docs/metrics.md';
const TESTS = 'alerts/sluice.rules.test.yml';
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const { groups } = parse(textOf(RULES)) as {
  groups: { rules: (Rule | RecordingRule)[] }[];
};
const rules = groups.flatMap((group) => group.rules).filter((rule) => 'alert' in rule);
const names = rules.map(({ alert }) => alert);

describe('alert rules', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s has a severity, texts and its own section of the runbooks',
    (alert, { labels, annotations }) => {
      expect(['page', 'ticket']).toContain(labels.severity);
      expect(annotations).toEqual({
        summary: expect.stringMatching(/\.$/),
        description: expect.stringMatching(/\.$/),
        runbook_url: `docs/runbooks.md#${alert.toLowerCase()}`,
      });
      const section = markdownFile('docs/runbooks.md').section(`${alert}\n`);
      expect(section).toContain(`**Meaning** (${labels.severity})`);
      expect(section).toMatch(/\*\*Where to look:\*\*[^]*\*\*What to do:\*\*/);
    },
  );

  it('are all in the runbooks, and no others', () => {
    const [, ...sections] = markdownFile('docs/runbooks.md').headings();
    expect([...sections].sort()).toEqual([...names].sort());
  });

  it('have unit tests, each of them', () => {
    const tested = [...textOf(TESTS).matchAll(/alertname="(\w+)"/g)].map(([, name]) => name);
    expect([...new Set(tested)].sort()).toEqual([...names].sort());
  });

  it('fire, do not fire and end, as promtool says', async () => {
    const program = await promtool();
    if (program === null) return;
    const checked = await runToEnd(program, ['check', 'rules', RULES], { cwd: ROOT });
    expect(checked).toMatchObject({ code: 0 });
    const tested = await runToEnd(program, ['test', 'rules', TESTS], { cwd: ROOT });
    expect(tested).toMatchObject({ code: 0 });
  });

  it('name metrics of the catalogue only', () => {
    const known = new Set(markdownFile(CATALOGUE).codeSpans());
    const used = rules.flatMap(({ expr }) => expr.match(/\bsluice_[a-z_]+/g) ?? []);
    const unknown = used.filter((name) => !known.has(name) && !known.has(name.replace(/_bucket$/, '')));
    expect([...new Set(unknown)]).toEqual([]);
  });
});
