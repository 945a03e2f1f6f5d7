import type { OpenAPIObject } from '@nestjs/swagger';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
type Responses = Operation['responses'];
type Content = NonNullable<Extract<Responses[string], { content?: unknown }>['content']>;

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** What every error answer has, at least (RFC 9457). */
const PROBLEM: Content = {
  'application/problem+json': {
    schema: {
      type: 'object',
      required: ['type', 'title', 'status', 'detail', 'code', 'action'],
      properties: {
        type: { type: 'string' },
        title: { type: 'string' },
        status: { type: 'integer' },
        detail: { type: 'string' },
        code: { type: 'string' },
        action: { type: 'string' },
      },
    },
  },
};

const ANSWERS: Responses = {
  '401': {
    description: 'With SLUICE_ACCESS=token: no token, or one that is not valid',
    content: PROBLEM,
    headers: { 'WWW-Authenticate': { description: 'Bearer', schema: { type: 'string' } } },
  },
  '403': {
    description:
      'Asked by a foreign host name, or by a page of another site; or the role of the token does not include this',
    content: PROBLEM,
  },
  '429': {
    description: 'Too many requests of this holder, or too many wrong tokens from this address',
    content: PROBLEM,
    headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } },
  },
};

/** Adds what every route answers to a caller that may not use it, or asks too often. */
export function addAccessResponses(document: OpenAPIObject): OpenAPIObject {
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) {
      const operation = path[method];
      if (operation !== undefined) operation.responses = { ...operation.responses, ...ANSWERS };
    }
  }
  return document;
}
