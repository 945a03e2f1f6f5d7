import type { INestApplication } from '@nestjs/common';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import type { OpenAPIObject } from '@nestjs/swagger';
import { addAccessResponses } from './access-responses.js';
import { documentation } from './api-decorators.js';

type Handler = (
  request: { readonly url: string },
  response: unknown,
  next: (error?: unknown) => void,
) => void;

const ADDRESSES = /^\/(docs|openapi\.json)(?![^/?])/;

/** Serves the OpenAPI document at /openapi.json and a page to read it at /docs; both are made when one is asked for. */
export function serveOpenApi(app: INestApplication, title: string, description: string): void {
  let pages: Promise<Handler> | undefined;
  const serve: Handler = (request, response, next) => {
    if (!ADDRESSES.test(request.url)) {
      next();
      return;
    }
    pages ??= pagesOf(app, title, description);
    pages.then((handle) => {
      handle(request, response, next);
    }, next);
  };
  app.use(serve);
}

/** Pages beside the application: its own router takes no more addresses once it runs. */
async function pagesOf(app: INestApplication, title: string, description: string): Promise<Handler> {
  const { SwaggerModule } = await documentation();
  const document = await openApiDocument(app, title, description);
  const adapter = new ExpressAdapter();
  // Defined, not assigned: what is assigned to a descendant, Nest's proxy writes to the application.
  const beside = Object.create(app, {
    getHttpAdapter: { value: () => adapter },
    useStaticAssets: { value: adapter.useStaticAssets.bind(adapter) },
  }) as NestExpressApplication;
  SwaggerModule.setup('docs', beside, document, { jsonDocumentUrl: 'openapi.json' });
  const pages = adapter.getInstance<Handler & { disable(name: string): void }>();
  pages.disable('x-powered-by');
  return pages;
}

export async function openApiDocument(
  app: INestApplication,
  title: string,
  description: string,
): Promise<OpenAPIObject> {
  const { DocumentBuilder, SwaggerModule } = await documentation();
  const config = new DocumentBuilder()
    .setTitle(title)
    .setDescription(description)
    .setVersion('1')
    .addBearerAuth({
      type: 'http',
      scheme: 'bearer',
      description: 'With SLUICE_ACCESS=token: of `sluice token create`, or of the OIDC provider',
    })
    .addSecurityRequirements('bearer')
    .build();
  return addAccessResponses(SwaggerModule.createDocument(app, config));
}
