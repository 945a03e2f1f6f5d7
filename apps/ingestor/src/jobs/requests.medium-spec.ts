import 'reflect-metadata';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type INestApplication, Module } from '@nestjs/common';
import fc from 'fast-check';
import { Writable } from 'node:stream';
import { AuditLog } from '#common/access/audit-log.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { localAccess } from '#common/http/local-access.js';
import { LocalToken } from '#common/access/local-token.js';
import { createHttpApp } from '#common/http/http-app.js';
import { loggerTo } from '#common/telemetry/logger.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { JobRepository } from '#core/job/job.repository.js';
import { anyCharacter } from '#test/support/any-character.js';
import { Ingesting, THINGS } from '#test/support/ingesting.js';
import { JobCommands } from './job-commands.js';
import { JobPoller } from './job-poller.js';
import { JobStarter } from './job-starter.js';
import { JobsController } from './jobs.controller.js';

/** No request is our own fault: whatever is asked is done, or refused with what is wrong about it. */
describe('requests to the ingestor', () => {
  let ingesting: Ingesting;
  let app: INestApplication;
  let url: string;
  let log = '';

  class RequestsModule {}

  beforeAll(async () => {
    ingesting = await Ingesting.start();
    const jobs = new JobRepository(ingesting.database);
    const registry = new DatasetRegistry([
      { name: THINGS.name, dataset: THINGS, folder: '', schema: 'public', tables: ['thing'] },
    ]);
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        log += chunk.toString();
        done();
      },
    });
    Module({
      controllers: [JobsController],
      providers: [
        { provide: JobStarter, useValue: new JobStarter(registry, jobs) },
        { provide: JobCommands, useValue: ingesting.ingestor().commands },
        { provide: JobPoller, useValue: { begin: (create: (owner: null) => unknown) => create(null) } },
        { provide: LocalToken, useValue: LocalToken.fromFile('') },
      ],
    })(RequestsModule);
    const options = {
      nestLogger: false,
      access: localAccess(),
      audit: { log: new AuditLog(poolOf(ingesting.database)), service: 'ingestor' },
      listeningHost: '127.0.0.1',
      allowedHosts: [],
    } as const;
    app = await createHttpApp(RequestsModule, { ...options, logger: loggerTo(stream, 'test', 'info') });
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });

  afterAll(async () => {
    await app.close();
    await ingesting.stop();
  });

  async function post(path: string, body: unknown): Promise<{ status: number; answer: unknown }> {
    await ingesting.database.query('TRUNCATE sluice.job CASCADE');
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return { status: response.status, answer: await response.json() };
  }

  const good = { dataset: THINGS.name, source: 'http://a.example/data.csv' };

  it.each<[string, unknown, number]>([
    ['a limit beyond whole numbers', { limit: 1e308 }, 422],
    ['a limit beyond bigint', { limit: 2 ** 63 }, 422],
    ['a limit of 2^53 - 1', { limit: Number.MAX_SAFE_INTEGER }, 202],
    ['a breaker beyond whole numbers', { breakerCount: 1e300 }, 422],
    ['NUL in a URL', { source: 'http://a/\u0000' }, 422],
    ['a line break in a URL', { source: 'http://a/\n' }, 422],
    ['half a surrogate pair in a path', { source: '/\ud800' }, 422],
    ['half a surrogate pair in a URL', { source: 'http://a/\udc00' }, 422],
    ['a URL of 8 KB', { source: `http://a/${'x'.repeat(8183)}` }, 202],
    ['a URL of more than 8 KB', { source: `http://a/${'x'.repeat(8184)}` }, 422],
    ['a path of few characters and many bytes', { source: `/${'資'.repeat(3000)}` }, 422],
    ['NUL in a dataset', { dataset: 'things\u0000' }, 422],
    ['inherited names as options', { options: { constructor: 'x', toString: 'y' } }, 422],
    ['a prototype as an option', '{"dataset":"things","source":"/a","options":{"__proto__":"x"}}', 400],
    ['options that are no texts', { options: { checksum: { a: 1 } } }, 422],
    ['options nested deep', `{"options":${'{"a":'.repeat(15_000)}1${'}'.repeat(15_000)}}`, 400],
    ['a list nested deep', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, 400],
    [
      'an inherited name as a field',
      '{"dataset":"things","source":"/a","constructor":{},"__proto__":{}}',
      400,
    ],
    ['half a surrogate pair in an option', { options: { a: '\ud800' } }, 422],
    ['a share that is no number', { maxRefusedShare: '0.5' }, 422],
  ])('%s', async (_, changes, status) => {
    const body = typeof changes === 'string' ? changes : { ...good, ...(changes as object) };
    expect(await post('/jobs', body)).toMatchObject({
      status,
      answer: status === 202 ? { state: 'queued' } : { status, code: 'REQUEST_INVALID' },
    });
  });

  it('whatever the fields hold, and whatever the address', async () => {
    const text = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.string().map((path) => `/${path}`),
      fc.constantFrom(
        '',
        'things',
        'http://',
        'http://[',
        'file:///%00',
        'file://h/x',
        '/\0',
        'HTTP://a:99999/',
      ),
    );
    const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, 1e308, 2 ** 53, 2 ** 63, -1, 0.5));
    const anything = fc.oneof(text, number, fc.jsonValue({ maxDepth: 3 }));
    const mostly = (likely: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
      fc.oneof({ weight: 4, arbitrary: likely }, { weight: 1, arbitrary: anything });
    const request = fc.record(
      {
        dataset: mostly(fc.constant('things')),
        source: mostly(text),
        mode: mostly(fc.constantFrom('replace', 'append', 'upsert')),
        limit: mostly(number),
        dryRun: mostly(fc.boolean()),
        existingKeys: mostly(fc.constantFrom('supersede', 'fail')),
        breakerShare: mostly(number),
        breakerCount: mostly(number),
        maxRefusedShare: mostly(number),
        allowShrink: mostly(fc.boolean()),
        options: mostly(fc.dictionary(text, text)),
        unknown: anything,
      },
      { requiredKeys: [] },
    );
    const id = fc.oneof(fc.uuid(), fc.string().map(encodeURIComponent));
    const path = fc.oneof(
      { weight: 4, arbitrary: fc.constant('/jobs') },
      fc.constant('/jobs/resume'),
      fc
        .tuple(id, fc.constantFrom('cancel', 'pause', 'continue', 'resume', 'discard'))
        .map((p) => `/jobs/${p.join('/')}`),
    );
    await fc.assert(
      fc.asyncProperty(path, request, async (to, body) => {
        const { status, answer } = await post(to, body);
        if (status === 202) expect(answer).toMatchObject({ state: 'queued' });
        else {
          expect([400, 404, 409, 422]).toContain(status);
          expect(answer).toMatchObject({ status, code: expect.stringMatching(/^(REQUEST|JOB)_/) });
        }
      }),
      { numRuns: 150 },
    );
    expect(log).not.toContain('"level":"error"');
  });
});
