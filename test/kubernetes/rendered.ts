/**
 * The overlays of k8s/ as `kubectl kustomize` renders them, which is what a cluster gets.
 *
 * Where there is no kubectl, the tests of rendered objects are left out with one line; in CI that is an error.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { SluiceError } from '#common/errors/sluice-error.js';
import { ROOT } from '../docs/markdown-files.js';

export type Labels = Readonly<Record<string, string>>;

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
}

export interface Pod {
  readonly containers: readonly [Container, ...Container[]];
  readonly terminationGracePeriodSeconds?: number;
  readonly topologySpreadConstraints?: readonly object[];
  readonly volumes: readonly {
    readonly projected?: { readonly sources: readonly { readonly secret: { readonly name: string } }[] };
  }[];
}

/** An object of the cluster. What a kind has besides is read as `spec` of the caller's own shape. */
export interface Manifest<Spec = PodSpec> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec: Spec;
}

export interface PodSpec {
  readonly replicas?: number;
  readonly template?: { readonly metadata: { readonly labels: Labels }; readonly spec: Pod };
}

/** What stands in an overlay. */
export class Overlay {
  constructor(
    readonly name: string,
    readonly objects: readonly Manifest[],
  ) {}

  /** @throws TypeError when there is none, or no single one */
  find<Spec = PodSpec>(kind: string, name: string): Manifest<Spec> {
    const found = this.objects.filter((each) => each.kind === kind && nameOf(each) === name);
    if (found.length !== 1) throw new TypeError(`${this.name} has ${found.length} of ${kind} ${name}`);
    return found[0] as unknown as Manifest<Spec>;
  }

  all<Spec = PodSpec>(kind: string): Manifest<Spec>[] {
    return this.objects.filter((each) => each.kind === kind) as unknown as Manifest<Spec>[];
  }

  /** Everything that starts pods, with the pods' labels. */
  workloads(): { name: string; labels: Labels; pod: Pod }[] {
    return this.objects.flatMap(({ metadata, spec }) => {
      const template = (spec as PodSpec | undefined)?.template;
      if (template === undefined) return [];
      return [{ name: metadata.name, labels: template.metadata.labels, pod: template.spec }];
    });
  }
}

/** @returns the overlays `local` and `production`; none when kubectl is missing */
export function renderedOverlays(): Overlay[] {
  return ['local', 'production'].flatMap((name) => rendered(name, join(ROOT, 'k8s', 'overlays', name)));
}

/** @returns the overlay `production` with these folders of k8s/components besides; none when kubectl is missing */
export function renderedWith(...components: readonly string[]): Overlay[] {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-kustomize-'));
  const pathOf = (...names: string[]): string => relative(realpathSync(folder), join(ROOT, 'k8s', ...names));
  const kustomization = {
    resources: [pathOf('overlays', 'production')],
    components: components.map((name) => pathOf('components', name)),
  };
  try {
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
    return rendered(`production with ${components.join(' and ')}`, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function rendered(name: string, folder: string): Overlay[] {
  const { status, stdout, stderr, error } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  if (error !== undefined) return leftOut(error.message);
  if (status !== 0) throw new TypeError(`kubectl kustomize ${name}: ${stderr}`);
  return [new Overlay(name, objectsIn(stdout))];
}

/** @param file from the top folder */
export function objectsOf(file: string): Manifest[] {
  return objectsIn(readFileSync(join(ROOT, file), 'utf8'));
}

function objectsIn(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

/** The name without the hash that kustomize appends to what it generates. */
function nameOf({ kind, metadata: { name } }: Manifest): string {
  return ['ConfigMap', 'Secret'].includes(kind) ? name.replace(/-[0-9a-z]{10}$/, '') : name;
}

function leftOut(reason: string): [] {
  const sentence = `kubectl cannot be run: ${reason}`;
  if (process.env['CI'] === 'true') throw new SluiceError('REQUIREMENT_MISSING', sentence);
  process.stderr.write(`Tests are left out: ${sentence}\n`);
  return [];
}
