import { type INestApplication, type PipeTransform, ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { ProblemError } from './problem-details.filter.js';

/** Serves the OpenAPI document at /openapi.json and a page to read it at /docs. */
export function serveOpenApi(app: INestApplication, title: string, description: string): void {
  SwaggerModule.setup('docs', app, () => openApiDocument(app, title, description), {
    jsonDocumentUrl: 'openapi.json',
  });
}

export function openApiDocument(app: INestApplication, title: string, description: string): OpenAPIObject {
  const config = new DocumentBuilder().setTitle(title).setDescription(description).setVersion('1').build();
  return SwaggerModule.createDocument(app, config);
}

/**
 * Checks bodies, queries and paths by their class-validator decorators, unknown members too, and lists
 * everything that is wrong: 422 for a body that was understood, 400 for an address that was not.
 */
export function requestValidation(): PipeTransform {
  const bodies = validationPipe(422);
  const addresses = validationPipe(400);
  return {
    transform: (value: unknown, metadata) =>
      (metadata.type === 'body' ? bodies : addresses).transform(value, metadata) as unknown,
  };
}

function validationPipe(status: number): ValidationPipe {
  return new ValidationPipe({
    transform: true,
    whitelist: true,
    forbidNonWhitelisted: true,
    exceptionFactory: (errors) => {
      const fields = fieldErrors(errors);
      return new ProblemError('REQUEST_INVALID', fields.map(({ message }) => message).join('; '), status, {
        errors: fields,
      });
    },
  });
}

function fieldErrors(errors: readonly ValidationError[], prefix = ''): { field: string; message: string }[] {
  return errors.flatMap((error) => {
    const field = `${prefix}${error.property}`;
    const own = Object.values(error.constraints ?? {}).map((message) => ({ field, message }));
    return [...own, ...fieldErrors(error.children ?? [], `${field}.`)];
  });
}
