import { describe, expect, it } from '@jest/globals';
import { planTables } from '#core/record/compile-contract.js';
import dataset from '#datasets/tax-registration/dataset.js';
import registrationOnly from '../datasets/registration-only/dataset.js';
import { SINK_COLUMNS, sinkSettings, valueSchema } from './connector-settings.js';

describe('what Kafka Connect is given', () => {
  it('has the columns of the main table, as the dataset of one table has', () => {
    const columnsOf = (of: typeof dataset): readonly string[] | undefined => planTables(of)[0]?.columns;
    const columns = Object.keys(SINK_COLUMNS);
    expect(columns).toEqual(columnsOf(dataset));
    expect(columns).toEqual(columnsOf({ ...registrationOnly, name: 'registration-only' }));
  });

  it('has a schema in which dates are days', () => {
    expect(valueSchema()).toMatchObject({
      type: 'struct',
      fields: expect.arrayContaining([
        { field: 'ban', optional: false, type: 'string' },
        {
          field: 'setup_date',
          optional: true,
          type: 'int32',
          name: 'org.apache.kafka.connect.data.Date',
          version: 1,
        },
      ]) as unknown,
    });
  });

  it('names the database without user and password in its address', () => {
    const target = { topic: 't', table: 'public.r', databaseUrl: 'postgres://u:p%40@h:5/d', tasks: 4 };
    const settings = sinkSettings(target, { 'insert.mode': 'insert' });
    expect(settings['connection.url']).toMatch(/^jdbc:postgresql:\/\/h:5\/d\?/);
    expect(settings).toMatchObject({
      'connection.username': 'u',
      'connection.password': 'p@',
      'tasks.max': '4',
      'insert.mode': 'insert',
    });
  });
});
