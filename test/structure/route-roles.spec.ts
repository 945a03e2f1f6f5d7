import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { ModulesContainer } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AUDIT_ACTIONS } from '#common/access/audit-actions.js';
import { AUDITED, type AuditedRoute } from '#common/http/command-audit.js';
import { ROLE_OF_ROUTE } from '#common/http/role.js';
import { HealthController } from '#common/http/health.controller.js';
import { MetricsController } from '#common/http/metrics.controller.js';
import { IngestorModule } from '../../apps/ingestor/src/ingestor.module.js';
import { TrackerModule } from '../../apps/tracker/src/tracker.module.js';
import { addressesOf } from '../support/open-api.js';

const GET = 0;

interface Route {
  readonly name: string;
  readonly role: unknown;
  readonly isReading: boolean;
  /** What the audit calls it; undefined: it is not recorded. */
  readonly audited: string | undefined;
}

function routesOf(controller: Type): Route[] {
  const prototype = controller.prototype as Record<string, object>;
  return Object.getOwnPropertyNames(prototype)
    .filter((name) => name !== 'constructor')
    .flatMap((name) => {
      const handler = prototype[name];
      if (handler === undefined || Reflect.getMetadata(PATH_METADATA, handler) === undefined) return [];
      const role: unknown =
        Reflect.getMetadata(ROLE_OF_ROUTE, handler) ?? Reflect.getMetadata(ROLE_OF_ROUTE, controller);
      const isReading = Reflect.getMetadata(METHOD_METADATA, handler) === GET;
      const audited = (Reflect.getMetadata(AUDITED, handler) as AuditedRoute | undefined)?.action;
      return [{ name: `${controller.name}.${name}`, role, isReading, audited }];
    });
}

describe('every route of the services', () => {
  let routes: Route[];
  const apps: Awaited<ReturnType<typeof addressesOf>>[] = [];

  beforeAll(async () => {
    for (const module of [IngestorModule, TrackerModule]) {
      apps.push(await addressesOf((context) => module.for(context)));
    }
    const controllers = apps.flatMap((app) =>
      [...app.get(ModulesContainer).values()].flatMap((module) =>
        [...module.controllers.values()].flatMap(({ metatype }) => (metatype ? [metatype as Type] : [])),
      ),
    );
    routes = [...controllers, HealthController, MetricsController].flatMap(routesOf);
  });

  afterAll(() => Promise.all(apps.map((app) => app.close())));

  it('names the role that it needs', () => {
    expect(routes.length).toBeGreaterThan(40);
    const wrong = routes.filter(({ role }) => !['none', 'read', 'operate', 'admin'].includes(role as string));
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });

  it('needs no token for probes alone, and role read only where nothing is changed', () => {
    expect(routes.filter(({ role }) => role === 'none').map(({ name }) => name)).toEqual([
      'HealthController.live',
      'HealthController.ready',
    ]);
    const asking = routes.filter(({ role, isReading }) => role === 'read' && !isReading);
    expect(asking.map(({ name }) => name).sort()).toEqual(['EditsController.check', 'TraceController.trace']);
    const guarded = routes.filter(({ role, isReading }) => role !== 'read' && role !== 'none' && isReading);
    expect(guarded.map(({ name }) => name)).toEqual(['AuditController.list']);
  });

  it('records every command, and nothing else', () => {
    const commands = routes.filter(({ role, isReading }) => !isReading && role !== 'read');
    expect(commands.length).toBeGreaterThan(15);
    expect(routes.filter(({ audited }) => audited !== undefined)).toEqual(commands);
    const ofTheCommandLine = ['token.create', 'token.revoke', 'dataset.recreate', 'migrate', 'rebuild'];
    const recorded = new Set([...commands.map(({ audited }) => audited), ...ofTheCommandLine]);
    expect([...recorded].sort()).toEqual([...AUDIT_ACTIONS].sort());
  });
});
