import { type DynamicModule, type INestApplication, Module, type Type } from '@nestjs/common';
import { validate } from '@readme/openapi-parser';
import { pino } from 'pino';
import { localAccess, noAudit } from '#common/http/local-access.js';
import { createHttpApp } from '#common/http/http-app.js';
import { openApiDocument } from '#common/http/open-api.js';
import { ServiceModule } from '#common/lifecycle/service.module.js';

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema?: object }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, unknown>>;
}

class AddressesModule {}
Module({})(AddressesModule);

/** All addresses of a service, as its module names their controllers, with nothing behind them. */
export async function addressesOf(
  module: (context: never) => DynamicModule | Promise<DynamicModule>,
): Promise<INestApplication> {
  const logger = pino({ level: 'silent' });
  const config = { extraDatasetPaths: () => [] };
  const context = { name: 'test', instance: 'test', config, logger };
  const { for: serviceModule } = ServiceModule;
  // It opens connections; what else a module names is made with an application.
  ServiceModule.for = () => ({ module: ServiceModule });
  const { controllers = [] } = await Promise.resolve(module(context as never)).finally(() => {
    ServiceModule.for = serviceModule;
  });
  const needed = new Set(controllers.flatMap(dependenciesOf));
  return createHttpApp(
    {
      module: AddressesModule,
      controllers,
      providers: [...needed].map((provide) => ({ provide: provide as string, useValue: {} })),
    },
    {
      logger,
      nestLogger: false,
      access: localAccess(),
      audit: noAudit(),
      listeningHost: '127.0.0.1',
      allowedHosts: [],
    },
  );
}

/** What Nest would look for to make the class. */
function dependenciesOf(controller: Type): unknown[] {
  const types = (Reflect.getMetadata('design:paramtypes', controller) ?? []) as unknown[];
  const named = (Reflect.getMetadata('self:paramtypes', controller) ?? []) as {
    readonly index: number;
    readonly param: unknown;
  }[];
  return types.map((type, at) => named.find(({ index }) => index === at)?.param ?? type);
}

/** `GET /jobs/{id}`: what the application answers at, asked of its router. */
function registeredRoutes(app: INestApplication): string[] {
  const { router } = app.getHttpAdapter().getInstance() as {
    readonly router: {
      readonly stack: readonly {
        readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
      }[];
    };
  };
  return router.stack.flatMap(({ route }) =>
    Object.keys(route?.methods ?? {}).map(
      (method) => `${method.toUpperCase()} ${route?.path.replace(/:(\w+)/g, '{$1}') ?? ''}`,
    ),
  );
}

/** What is wrong with the document that an application serves: by the specification, and by the rules of this house. */
export async function openApiProblems(app: INestApplication): Promise<readonly string[]> {
  const document = await openApiDocument(app, 'test', 'test');
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );
  const missing = operations.flatMap(({ name, operation }) => houseProblems(name, operation));
  const documented = new Set(operations.map(({ name }) => name));
  const routes = registeredRoutes(app);
  if (document.components?.securitySchemes?.['bearer'] === undefined || document.security === undefined)
    missing.push('the document does not say that a token is asked for');
  if (routes.length === 0) missing.push('the application answers at no address');
  for (const route of routes) if (!documented.has(route)) missing.push(`${route} is not documented`);
  // The validator resolves references in place.
  const result = await validate(structuredClone(document) as Parameters<typeof validate>[0]);
  return [...(result.valid ? [] : result.errors.map(({ message }) => message)), ...missing];
}

/** 400 is what any address answers to a parameter or body that is not sound, 401, 403 and 429 to a caller that may not ask; texts say what they may hold. */
function houseProblems(name: string, { parameters = [], requestBody, responses }: Operation): string[] {
  const problems: string[] = [];
  for (const status of ['400', '401', '403', '429'])
    if (!(status in responses)) problems.push(`${name} does not document ${status}`);
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
