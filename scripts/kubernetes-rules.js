/** `npm run k8s:rules`: writes the alert rules as the object that the Prometheus operator reads. A test fails when it is stale. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, runScript } from './refusal.js';

const RULES = join(ROOT, 'alerts', 'sluice.rules.yml');
export const OBJECT = join(ROOT, 'k8s', 'components', 'monitoring', 'rules.yaml');

/** @returns the text that {@link OBJECT} has to have; comments of the rules stay */
export function prometheusRule() {
  const indented = readFileSync(RULES, 'utf8').replace(/^(?=.)/gm, '  ');
  return `# Written by \`npm run k8s:rules\` from alerts/sluice.rules.yml. Change that file, not this one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: { name: sluice }
spec:
${indented}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runScript(async () => writeFileSync(OBJECT, prometheusRule()));
}
