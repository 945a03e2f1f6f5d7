import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { addressesOf, openApiProblems } from '#test/support/open-api.js';
import { TrackerModule } from '../tracker.module.js';

describe('the OpenAPI document of the tracker', () => {
  it('is valid, names every address, and says what each answers', async () => {
    const app = await addressesOf(TrackerModule.for);
    await app.init();
    expect(await openApiProblems(app)).toEqual([]);
    await app.close();
  });
});
