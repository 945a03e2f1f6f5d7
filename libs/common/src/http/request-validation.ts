import { type PipeTransform, ValidationPipe } from '@nestjs/common';
import { type ValidationError, getMetadataStorage, validate } from '../validation/class-validator.js';
import { ProblemError } from './problem-details.filter.js';

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

/** With the metadata, by which Nest finds values that are nested. */
const VALIDATOR = { validate, getMetadataStorage };

function validationPipe(status: number): ValidationPipe {
  return new ValidationPipe({
    transform: true,
    whitelist: true,
    forbidNonWhitelisted: true,
    validatorPackage: VALIDATOR,
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
