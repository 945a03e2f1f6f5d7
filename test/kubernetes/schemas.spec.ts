import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Ajv, type ValidateFunction } from 'ajv';
import { ROOT } from '../docs/markdown-files.js';
import { type Manifest, objectsOf, renderedOverlays, renderedWith } from './rendered.js';

/** Written by `npm run k8s:schemas`. */
const SCHEMAS = join(ROOT, 'test', 'kubernetes', 'schemas');
const ajv = new Ajv({ strict: false, allErrors: true });
const validators = new Map<string, ValidateFunction>();

describe('objects of Kubernetes', () => {
  it('are refused for a field that their kind does not have, a wrong type, and a missing field', () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } };
    expect(problemsOf({ ...service, spec: { ports: [{ port: 1, targetPort: 'http' }] } })).toEqual([]);
    expect(
      problemsOf({ ...service, spec: { ports: [{ port: '1' }, { prot: 1 }], selectors: {} } }).sort(),
    ).toEqual([
      'Service a: /spec must NOT have additional properties: selectors',
      'Service a: /spec/ports/0/port must be integer',
      'Service a: /spec/ports/1 must NOT have additional properties: prot',
      "Service a: /spec/ports/1 must have required property 'port'",
    ]);
    expect(problemsOf({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: {} })).toEqual([
      'Pod a: there is no schema pod-v1.json',
    ]);
  });

  it.each(readdirSync(join(ROOT, 'k8s/examples')))('of the example %s are valid', (file) => {
    const objects = objectsOf(`k8s/examples/${file}`);
    expect(objects).not.toEqual([]);
    expect(objects.flatMap(problemsOf)).toEqual([]);
  });

  for (const { name, objects } of [...renderedOverlays(), ...renderedWith('https', 'traces')]) {
    it(`of the overlay ${name} are valid`, () => {
      expect(objects.length).toBeGreaterThan(20);
      expect(objects.flatMap(problemsOf)).toEqual([]);
    });
  }
});

function problemsOf(object: Manifest<unknown>): string[] {
  const { apiVersion, kind, metadata } = object;
  const [group = '', version] = apiVersion.split('/');
  const suffix = [group.split('.')[0], version].filter((part) => part !== undefined).join('-');
  const file = `${kind.toLowerCase()}-${suffix}.json`;
  const validate = validatorOf(file);
  if (validate === null) return [`${kind} ${metadata.name}: there is no schema ${file}`];
  if (validate(object)) return [];
  return (validate.errors ?? []).map(({ instancePath, message = '', params }) => {
    const unknown = 'additionalProperty' in params ? `: ${String(params['additionalProperty'])}` : '';
    return `${kind} ${metadata.name}: ${instancePath} ${message}${unknown}`;
  });
}

function validatorOf(file: string): ValidateFunction | null {
  if (!readdirSync(SCHEMAS).includes(file)) return null;
  const known = validators.get(file);
  if (known !== undefined) return known;
  const compiled = ajv.compile(JSON.parse(readFileSync(join(SCHEMAS, file), 'utf8')) as object);
  validators.set(file, compiled);
  return compiled;
}
