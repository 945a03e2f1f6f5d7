import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { pino } from 'pino';
import { DataSource } from 'typeorm';
import { createHttpApp } from '#common/http/http-app.js';
import { LOGGER } from '#common/lifecycle/tokens.js';
import { DatasetRegistry } from '#core/dataset/registry.js';
import { openApiProblems } from '../../../../test/support/open-api.js';
import { LIVE_TIMING } from '../live/live-timing.js';
import { READ_API } from '../tracker.module.js';

const logger = pino({ level: 'silent' });

class DocumentedModule {}
Module({
  controllers: READ_API.controllers,
  providers: [
    ...READ_API.providers,
    { provide: DataSource, useValue: {} },
    { provide: DatasetRegistry, useValue: new DatasetRegistry([]) },
    { provide: LOGGER, useValue: logger },
    { provide: LIVE_TIMING, useValue: { pollIntervalMs: 1_000, heartbeatIntervalMs: 1_000 } },
  ],
})(DocumentedModule);

describe('the OpenAPI document of the tracker', () => {
  it('is valid, and says what each address answers', async () => {
    const settings = { nestLogger: false, listeningHost: '127.0.0.1', allowedHosts: [] } as const;
    const app = await createHttpApp(DocumentedModule, { logger, ...settings });
    await app.init();
    expect(await openApiProblems(app)).toEqual([]);
    await app.close();
  });
});
