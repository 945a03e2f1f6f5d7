/**
 * The decorators of @nestjs/swagger, remembered until the document is asked for: to load it costs a fifth of the time in
 * which a service starts, and two of the services have nothing to document.
 */
import type * as Swagger from '@nestjs/swagger';

export type { ApiPropertyOptions } from '@nestjs/swagger';

type Name = Extract<keyof typeof Swagger, `Api${string}`>;
type Documentation = typeof Swagger;

const remembered: ((swagger: Documentation) => void)[] = [];

/** A decorator that takes its place now, and writes what it has to say once the package is there. */
function later<N extends Name>(name: N): Documentation[N] {
  const decorator =
    (...options: unknown[]) =>
    (...place: unknown[]): void => {
      remembered.push((swagger) => {
        const make = swagger[name] as (...options: unknown[]) => (...place: unknown[]) => void;
        make(...options)(...place);
      });
    };
  return decorator as Documentation[N];
}

export const ApiAcceptedResponse = later('ApiAcceptedResponse');
export const ApiBadRequestResponse = later('ApiBadRequestResponse');
export const ApiConflictResponse = later('ApiConflictResponse');
export const ApiExcludeController = later('ApiExcludeController');
export const ApiExtraModels = later('ApiExtraModels');
export const ApiForbiddenResponse = later('ApiForbiddenResponse');
export const ApiNotFoundResponse = later('ApiNotFoundResponse');
export const ApiOkResponse = later('ApiOkResponse');
export const ApiParam = later('ApiParam');
export const ApiProduces = later('ApiProduces');
export const ApiProperty = later('ApiProperty');
export const ApiPropertyOptional = later('ApiPropertyOptional');
export const ApiResponse = later('ApiResponse');
export const ApiServiceUnavailableResponse = later('ApiServiceUnavailableResponse');
export const ApiTags = later('ApiTags');
export const ApiUnprocessableEntityResponse = later('ApiUnprocessableEntityResponse');
export const ApiUnsupportedMediaTypeResponse = later('ApiUnsupportedMediaTypeResponse');

/** Where a document has the schema of a class. */
export const getSchemaPath: Documentation['getSchemaPath'] = (model) =>
  `#/components/schemas/${typeof model === 'string' ? model : model.name}`;

/** The package, with all that was remembered written, in the order in which it came. */
export async function documentation(): Promise<Documentation> {
  const swagger = await import('@nestjs/swagger');
  for (const write of remembered.splice(0)) write(swagger);
  return swagger;
}
