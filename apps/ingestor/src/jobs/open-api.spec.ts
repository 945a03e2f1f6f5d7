import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { pino } from 'pino';
import { createHttpApp } from '#common/http/http-app.js';
import { openApiProblems } from '../../../../test/support/open-api.js';
import { JobCommands } from './job-commands.js';
import { JobPoller } from './job-poller.js';
import { JobStarter } from './job-starter.js';
import { JobsController } from './jobs.controller.js';
import { LocalToken } from './local-token.js';

class DocumentedModule {}
Module({
  controllers: [JobsController],
  providers: [JobStarter, JobCommands, JobPoller, LocalToken].map((provide) => ({ provide, useValue: {} })),
})(DocumentedModule);

describe('the OpenAPI document of the ingestor', () => {
  it('is valid, and says what each address answers', async () => {
    const logger = pino({ level: 'silent' });
    const settings = { nestLogger: false, listeningHost: '127.0.0.1', allowedHosts: [] } as const;
    const app = await createHttpApp(DocumentedModule, { logger, ...settings });
    await app.init();
    expect(await openApiProblems(app)).toEqual([]);
    await app.close();
  });
});
