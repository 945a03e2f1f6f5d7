/**
 * `npm run k8s:check`: what kubeconform and kube-score say of both overlays. `go` builds them once, into .sluice/test-tools. It is no part
 * of `npm test`, which checks the same schemas (test/kubernetes/schemas.spec.ts): the first build takes over a minute of CPU time.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal, ROOT, runScript } from './refusal.js';

const TOOLS = join(ROOT, '.sluice', 'test-tools', 'kubernetes');
const MODULES = {
  kubeconform: 'github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0',
  'kube-score': 'github.com/zegl/kube-score/cmd/kube-score@v1.20.0',
};
const SCHEMAS = `${join(ROOT, 'test/kubernetes/schemas')}/{{.ResourceKind}}{{.KindSuffix}}.json`;
/** Checks of kube-score that do not hold here → why. */
const LEFT_OUT = {
  'container-image-pull-policy': 'A tag is not moved, and production may name a digest.',
  'container-security-context-user-group-id': 'The user is the one of the image, and owns nothing in it.',
  'deployment-replicas': 'In production the autoscalers own the number; `local` has one pod of each service.',
  'deployment-has-host-podantiaffinity': 'topologySpreadConstraints spread the pods.',
  'statefulset-has-host-podantiaffinity': 'The servers of `local` have one pod.',
  'statefulset-has-poddisruptionbudget': 'The servers of `local` have one pod.',
};
/** The broker of `local` writes settings into folders of its image. */
const OF_LOCAL = ['container-security-context-readonlyrootfilesystem'];

await runScript(async () => {
  for (const overlay of ['local', 'production']) {
    const objects = run('kubectl', ['kustomize', join(ROOT, 'k8s', 'overlays', overlay)]);
    const leftOut = [...Object.keys(LEFT_OUT), ...(overlay === 'local' ? OF_LOCAL : [])];
    const ignored = leftOut.flatMap((test) => ['--ignore-test', test]);
    process.stdout.write(`${overlay}\n`);
    process.stdout.write(
      run(tool('kubeconform'), ['-strict', '-summary', '-schema-location', SCHEMAS, '-'], objects),
    );
    const lines = run(tool('kube-score'), ['score', '--output-format', 'ci', ...ignored, '-'], objects);
    const said = lines.trim().split('\n');
    const open = said.filter((line) => !/^\[(OK|SKIPPED)\]/.test(line));
    process.stdout.write(
      `kube-score: ${said.length - open.length} checks passed or do not apply, ${open.length} remarks\n`,
    );
    for (const line of open) process.stdout.write(`${line}\n`);
  }
});

/** @returns the path of a program that `go` has built */
function tool(name) {
  const path = join(TOOLS, name);
  if (!existsSync(path)) {
    mkdirSync(TOOLS, { recursive: true });
    run('go', ['install', MODULES[name]], undefined, { GOBIN: TOOLS, CGO_ENABLED: '0' });
  }
  return path;
}

function run(command, args, input, environment = {}) {
  const env = { ...process.env, ...environment };
  const { error, status, stdout, stderr } = spawnSync(command, args, { input, env, encoding: 'utf8' });
  if (error !== undefined) throw new Refusal(`${command} cannot be run: ${error.message}.`);
  if (status !== 0) throw new Refusal(`${command} ended with code ${status}:\n${stdout}${stderr}`);
  return stdout;
}
