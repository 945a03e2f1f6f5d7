/** The alerts of alerts/sluice.rules.yml as the dashboards show them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { StateWord } from './panels.js';

const SLUICE = 'alertname=~"Sluice.*"';
/** Recorded beside the alerts: an alert that Prometheus does not know is absent, not quiet. */
const RULES_ARE_LOADED = 'max(sluice:alert_rules)';

export const ALERT_STATES: readonly StateWord[] = [
  { value: 0, text: 'quiet', color: 'green' },
  { value: 1, text: 'pending', color: 'orange' },
  { value: 2, text: 'firing', color: 'red' },
];

export const FIRING_ALERTS = `count(ALERTS{${SLUICE}, alertstate="firing"}) or ${RULES_ARE_LOADED} * 0`;

/** A series with a value of {@link ALERT_STATES} for each alert. @param root the top folder */
export function alertStates(root: string): string {
  const quiet = alertNames(root).map(
    (name) => `label_replace(${RULES_ARE_LOADED} * 0, "alertname", "${name}", "", "")`,
  );
  return [
    `max by (alertname) (ALERTS{${SLUICE}, alertstate="firing"}) * 2`,
    `max by (alertname) (ALERTS{${SLUICE}, alertstate="pending"})`,
    ...quiet,
  ].join(' or ');
}

function alertNames(root: string): string[] {
  const { groups } = parse(readFileSync(join(root, 'alerts', 'sluice.rules.yml'), 'utf8')) as {
    groups: { rules: { alert?: string }[] }[];
  };
  return groups.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? []));
}
