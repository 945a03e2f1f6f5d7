import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { addressesOf, openApiProblems } from '#test/support/open-api.js';
import { IngestorModule } from '../ingestor.module.js';

describe('the OpenAPI document of the ingestor', () => {
  it('is valid, names every address, and says what each answers', async () => {
    const app = await addressesOf(IngestorModule.for);
    await app.init();
    expect(await openApiProblems(app)).toEqual([]);
    await app.close();
  });
});
