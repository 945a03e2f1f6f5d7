import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '#common/http/api-decorators.js';
import { ProblemDto } from './views.dto.js';

const DESCRIPTIONS = {
  400: 'A parameter is wrong or unknown',
  404: 'Unknown',
  413: 'The body is too large',
  409: 'It was decided already',
  422: 'The body is wrong, or the message is gone',
  503: 'The database does not answer',
} as const;

/** Says in OpenAPI which problems an address answers with (RFC 9457). */
export function ProblemResponses(...statuses: (keyof typeof DESCRIPTIONS)[]): MethodDecorator {
  const content = { 'application/problem+json': { schema: { $ref: getSchemaPath(ProblemDto) } } };
  return applyDecorators(
    ApiExtraModels(ProblemDto),
    ...statuses.map((status) => ApiResponse({ status, description: DESCRIPTIONS[status], content })),
  );
}
