import { describe, expect, it } from '@jest/globals';
import { parseRawAddress, rawAddress } from './raw-address.js';

const JOB = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';
const WHAT = `job=${JOB}&epoch=2&batches=3&sealed=yes`;

describe('the address of raw batches', () => {
  it('names a job and ranges of offsets, and is shown with its partitions in order', () => {
    const address = parseRawAddress(`RAW://sluice.web-shop.raw?${WHAT}&1=5-900000000000000&0=0-0`);
    expect(address).toEqual({
      ...{ dataset: 'web-shop', job: JOB, firstEpoch: 2, batches: 3, isSealed: true },
      ranges: [
        { partition: 0, from: 0, to: 0 },
        { partition: 1, from: 5, to: 900_000_000_000_000 },
      ],
      display: `raw://sluice.web-shop.raw?${WHAT}&0=0-0&1=5-900000000000000`,
    });
    expect(parseRawAddress(address.display)).toEqual(address);
    expect(parseRawAddress(rawAddress({ ...address, isSealed: false })).isSealed).toBe(false);
  });

  it.each([
    ['raw://sluice.things.raw', '"job" is not where it should be'],
    [`raw://sluice.things.raw?${WHAT}`, 'a range is not written as'],
    [`raw://sluice.things.raw?${WHAT}&0=1-2&0=3-4`, 'partition 0 is given more than once'],
    [`raw://sluice.things.raw?${WHAT}&0=7-6`, 'partition 0 is to be read from 7 to 6'],
    [`raw://sluice.things.raw?${WHAT}&canary=1-2`, 'a range is not written as'],
    [`raw://sluice.things.raw?epoch=2&job=${JOB}&batches=3&sealed=yes&0=1-2`, '"job" is not where'],
    ['raw://sluice.things.raw?job=canary&epoch=2&batches=3&sealed=yes&0=1-2', 'its job is no id'],
    [`raw://sluice.things.raw?job=${JOB}&epoch=-1&batches=3&sealed=yes&0=1-2`, '"epoch" is no whole number'],
    [`raw://sluice.things.raw?job=${JOB}&epoch=1&batches=1e3&sealed=yes&0=1-2`, '"batches" is no whole'],
    [`raw://sluice.things.raw?job=${JOB}&epoch=1&batches=1&sealed=canary&0=1-2`, '"sealed" is neither'],
    [`raw://sluice.things.clean?${WHAT}&0=1-2`, 'its topic is no raw topic'],
    [`raw://canary.raw?${WHAT}&0=1-2`, 'its topic is no raw topic'],
    [`raw://canary@sluice.things.raw?${WHAT}&0=1-2`, 'it has more than a topic'],
    [`raw://sluice.things.raw/canary?${WHAT}&0=1-2`, 'it has more than a topic'],
    [`raw://sluice.things.raw?${WHAT}&0=1-2#canary`, 'it has more than a topic'],
  ])('%s is refused, and nothing of it that is not understood is shown', (text, problem) => {
    const refusal = (): unknown => parseRawAddress(text);
    expect(refusal).toThrow(
      expect.objectContaining({ code: 'SOURCE_UNSUPPORTED', message: expect.stringContaining(problem) }),
    );
    expect(refusal).not.toThrow('canary');
  });
});
