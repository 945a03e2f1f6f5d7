/**
 * `npm run k8s:schemas -- OPERATORS`: writes the JSON Schemas of the kinds that `k8s/` uses to test/kubernetes/schemas.
 *
 * They come from the Go modules of Kubernetes, KEDA and the Prometheus operator, which `go` downloads, and from the folder OPERATORS
 * with the custom resource definitions of a release of Strimzi and of CloudNativePG. What only people read is left out, unknown
 * fields are refused, and what repeats in a schema stands in it once. kubeconform takes the files too: their names are its.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { Refusal, ROOT, runScript } from './refusal.js';

const SCHEMAS = join(ROOT, 'test', 'kubernetes', 'schemas');
const KUBERNETES = 'k8s.io/kubernetes@v1.36.3';
/** Module → folder of its custom resource definitions. */
const CRD_MODULES = {
  'github.com/kedacore/keda/v2@v2.18.1': 'config/crd/bases',
  'github.com/prometheus-operator/prometheus-operator@v0.85.0': 'example/prometheus-operator-crd',
};
const STRIMZI = 'Strimzi 1.1.0';
const CLOUDNATIVE_PG = 'CloudNativePG 1.30.0';
/** API version → kinds. */
const OWN_KINDS = {
  v1: ['ConfigMap', 'Namespace', 'Secret', 'Service'],
  'apps/v1': ['Deployment', 'StatefulSet'],
  'autoscaling/v2': ['HorizontalPodAutoscaler'],
  'batch/v1': ['Job'],
  'networking.k8s.io/v1': ['Ingress', 'NetworkPolicy'],
  'policy/v1': ['PodDisruptionBudget'],
};
const CUSTOM_KINDS = {
  'keda.sh/v1alpha1': ['ScaledObject', 'TriggerAuthentication'],
  'monitoring.coreos.com/v1': ['PrometheusRule', 'ServiceMonitor'],
  'kafka.strimzi.io/v1': ['Kafka', 'KafkaNodePool', 'KafkaUser'],
  'postgresql.cnpg.io/v1': ['Cluster'],
};
/** What a validator understands. Formats, defaults and rules of Kubernetes itself (`x-kubernetes-…`) are left to the API server. */
const KEPT = ['type', 'enum', 'pattern', 'required', '$ref'];
/** A smaller part is shorter than a reference to it is worth. */
const SHARED_FROM_CHARACTERS = 200;

await runScript(async () => {
  const [operators] = process.argv.slice(2);
  if (operators === undefined) throw new Refusal('Usage: npm run k8s:schemas -- OPERATORS');
  rmSync(SCHEMAS, { recursive: true, force: true });
  mkdirSync(SCHEMAS, { recursive: true });
  writeOwnKinds();
  const definitions = Object.entries(CRD_MODULES).flatMap(([module, folder]) =>
    definitionsIn(join(download(module), folder), module),
  );
  writeCustomKinds([...definitions, ...definitionsIn(operators, null)]);
});

function writeOwnKinds() {
  const { definitions } = JSON.parse(
    readFileSync(join(download(KUBERNETES), 'api', 'openapi-spec', 'swagger.json'), 'utf8'),
  );
  for (const [apiVersion, kinds] of Object.entries(OWN_KINDS)) {
    for (const kind of kinds) {
      const [name] = Object.entries(definitions).find(
        ([, { 'x-kubernetes-group-version-kind': kinds = [] }]) =>
          kinds.some((each) => each.kind === kind && apiVersionOf(each) === apiVersion),
      );
      const used = {};
      const take = (each) => {
        if (each in used) return;
        used[each] = trimmed(definitions[each]);
        for (const [, next] of JSON.stringify(used[each]).matchAll(/"#\/definitions\/([^"]+)"/g)) take(next);
      };
      take(name);
      write(KUBERNETES, apiVersion, kind, { ...used[name], definitions: used });
    }
  }
}

function writeCustomKinds(definitions) {
  for (const [apiVersion, kinds] of Object.entries(CUSTOM_KINDS)) {
    for (const kind of kinds) {
      const found = definitions.find((each) => each.kind === kind && each.apiVersion === apiVersion);
      if (found === undefined) throw new Refusal(`There is no definition of ${kind} in ${apiVersion}.`);
      write(found.source, apiVersion, kind, withSharedParts(trimmed(found.schema)));
    }
  }
}

function definitionsIn(folder, module) {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => parseAllDocuments(readFileSync(join(folder, file), 'utf8')))
    .map((document) => document.toJS())
    .filter((object) => object?.kind === 'CustomResourceDefinition')
    .flatMap(({ spec: { group, names, versions } }) =>
      versions.map(({ name, schema }) => ({
        apiVersion: `${group}/${name}`,
        kind: names.kind,
        schema: schema.openAPIV3Schema,
        source: module ?? (group === 'kafka.strimzi.io' ? STRIMZI : CLOUDNATIVE_PG),
      })),
    );
}

/** A schema of Kubernetes as one of JSON Schema, without what only people read. */
function trimmed(schema) {
  const isEither = schema['x-kubernetes-int-or-string'] === true || schema.format === 'int-or-string';
  if (isEither) return { type: ['integer', 'string'] };
  // `resource.Quantity` says string, and a number is accepted.
  if (/^Quantity is a fixed-point/.test(schema.description ?? '')) return { type: ['number', 'string'] };
  const result = Object.fromEntries(Object.entries(schema).filter(([key]) => KEPT.includes(key)));
  if (result.pattern !== undefined && !isPattern(result.pattern)) delete result.pattern;
  if (schema.nullable === true && result.type !== undefined) result.type = [result.type, 'null'];
  if (schema.items !== undefined) result.items = trimmed(schema.items);
  if (schema.properties !== undefined) {
    result.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, each]) => [name, trimmed(each)]),
    );
    if (schema['x-kubernetes-preserve-unknown-fields'] !== true) result.additionalProperties = false;
  }
  if (typeof schema.additionalProperties === 'object')
    result.additionalProperties = trimmed(schema.additionalProperties);
  for (const key of ['oneOf', 'anyOf', 'allOf'])
    if (schema[key] !== undefined && schema.properties === undefined) result[key] = schema[key].map(trimmed);
  return result;
}

/** Some are written for Go, e.g. with `(?i)`. */
function isPattern(text) {
  try {
    return new RegExp(text, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}

/** Parts that occur more than once become definitions. */
function withSharedParts(schema) {
  const counts = new Map();
  const count = (part) => {
    const text = JSON.stringify(part);
    counts.set(text, (counts.get(text) ?? 0) + 1);
    // What is inside a repeated part repeats with it.
    if (counts.get(text) === 1) for (const each of partsOf(part)) count(each);
  };
  count(schema);
  const definitions = {};
  const shared = (part, isTop = false) => {
    const text = JSON.stringify(part);
    const inner = mapParts(part, (each) => shared(each));
    if (isTop || counts.get(text) < 2 || text.length < SHARED_FROM_CHARACTERS) return inner;
    const name = createHash('sha256').update(text).digest('hex').slice(0, 12);
    definitions[name] = inner;
    return { $ref: `#/definitions/${name}` };
  };
  const result = shared(schema, true);
  return { ...result, definitions };
}

function partsOf(schema) {
  const parts = [];
  mapParts(schema, (each) => {
    parts.push(each);
    return each;
  });
  return parts;
}

function mapParts(schema, change) {
  const result = { ...schema };
  if (schema.items !== undefined) result.items = change(schema.items);
  if (typeof schema.additionalProperties === 'object')
    result.additionalProperties = change(schema.additionalProperties);
  if (schema.properties !== undefined)
    result.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, each]) => [name, change(each)]),
    );
  return result;
}

function write(source, apiVersion, kind, schema) {
  const [group, version] = apiVersion.split('/');
  const suffix = [group.split('.')[0], version].filter((part) => part !== undefined).join('-');
  const properties = {
    ...schema.properties,
    ...{ apiVersion: { enum: [apiVersion] }, kind: { enum: [kind] } },
  };
  const required = [...new Set(['apiVersion', 'kind', 'metadata', ...(schema.required ?? [])])];
  const text = JSON.stringify({
    ...{ $comment: `From ${source}, by npm run k8s:schemas` },
    ...{ ...schema, properties, required },
  });
  writeFileSync(join(SCHEMAS, `${kind.toLowerCase()}-${suffix}.json`), `${text}\n`);
}

function apiVersionOf({ group, version }) {
  return group === '' ? version : `${group}/${version}`;
}

/** @returns the module's folder */
function download(module) {
  return JSON.parse(execFileSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8' })).Dir;
}
