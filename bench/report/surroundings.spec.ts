import { describe, expect, it } from '@jest/globals';
import { serviceSettings, tellableProperties } from './surroundings.js';

describe('settings that are stored', () => {
  it("hold no path, address or port of the broker's", () => {
    const text = [
      '# Written at every start.',
      'log.dirs=/tmp/kafka/data',
      'listeners=PLAINTEXT://127.0.0.1:19092',
      'controller.quorum.voters=1@127.0.0.1:19093',
      'message.max.bytes=10485760',
      'process.roles=broker,controller',
      '',
    ].join('\n');
    expect(tellableProperties(text)).toEqual([
      ['message.max.bytes', '10485760'],
      ['process.roles', 'broker,controller'],
    ]);
  });

  it('hold what services were given, without files, folders and secrets', () => {
    const environment = {
      SLUICE_LOADERS: '2',
      SLUICE_BATCH_BYTES: '1000',
      SLUICE_LOCAL_FOLDER: 'x',
      SLUICE_LOCAL_TOKEN_FILE: 'x',
      SLUICE_FAULTS: '/tmp/x',
      SLUICE_SOME_TOKEN: 'x',
      SLUICE_PORT: '1',
      SLUICE_TEST_BUILT: '1',
      PATH: 'x',
    };
    expect(serviceSettings(environment)).toEqual({
      'service.SLUICE_BATCH_BYTES': '1000',
      'service.SLUICE_LOADERS': '2',
    });
  });
});
