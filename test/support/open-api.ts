import type { INestApplication } from '@nestjs/common';
import { validate } from '@readme/openapi-parser';
import { openApiDocument } from '#common/http/open-api.js';

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema?: object }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, unknown>>;
}

/** What is wrong with the document that an application serves: by the specification, and by the rules of this house. */
export async function openApiProblems(app: INestApplication): Promise<readonly string[]> {
  const document = openApiDocument(app, 'test', 'test');
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );
  const missing = operations.flatMap(({ name, operation }) => houseProblems(name, operation));
  // The validator resolves references in place.
  const result = await validate(structuredClone(document) as Parameters<typeof validate>[0]);
  return [...(result.valid ? [] : result.errors.map(({ message }) => message)), ...missing];
}

/** 400 is what any address answers to a parameter or body that is not sound; texts say what they may hold. */
function houseProblems(name: string, { parameters = [], requestBody, responses }: Operation): string[] {
  const problems: string[] = [];
  if (!('400' in responses)) problems.push(`${name} does not document 400`);
  if (requestBody !== undefined && !('422' in responses)) problems.push(`${name} does not document 422`);
  for (const parameter of parameters) {
    const schema = (parameter.schema ?? {}) as Record<string, unknown>;
    if (schema['type'] !== 'string') continue;
    if (!('pattern' in schema || 'format' in schema || 'enum' in schema)) {
      problems.push(`${name}: ${parameter.name} does not say which texts it takes`);
    }
  }
  return problems;
}
