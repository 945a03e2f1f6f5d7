import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { writeCleaned } from '../baselines/cleaned-files.js';
import { writePublishedForm } from '../baselines/extract.js';
import { fieldsOf, inboxMessages, jsonOf, sinkMessages } from './waiting-messages.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-waiting-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe('messages that wait', () => {
  it('are the same registrations for Sluice and for Connect, in one order', async () => {
    const file = join(folder, 'source.csv');
    await writePublishedForm(file, { rows: 40, seed: 1 });
    const [registrations] = await writeCleaned(file, folder);
    const { path = '', columns = [] } = registrations ?? {};
    const raw = await listOf(inboxMessages(file, true, 0));
    const clean = await listOf(sinkMessages(path, columns));
    expect(raw).toHaveLength(40);
    expect(raw.map(({ key }) => key)).toEqual(clean.map(({ key }) => key));
    for (const [at, { value }] of clean.entries()) {
      const row = JSON.parse(value) as Record<string, unknown>;
      const fields = fieldsOf(raw[at]?.value ?? '');
      expect(fields).toHaveLength(16);
      expect(Object.keys(row)).toEqual(columns);
      expect(row).toMatchObject({
        ban: fields[0],
        capital_amount: Number(fields[4]),
        data_source_date: 20_697,
      });
      expect(`"${String(row['business_name'])}"`).toBe(fields[2]);
      expect(`"${String(row['business_address'])}"`).toBe(fields[3]);
      expect(row['is_use_invoice']).toBe(fields[7] === 'Y');
    }
  });

  it('have bad ones between them, each of another kind', async () => {
    const file = join(folder, 'source.csv');
    await writePublishedForm(file, { rows: 8, seed: 1 });
    const messages = await listOf(inboxMessages(file, false, 2));
    expect(messages).toHaveLength(12);
    const bad = messages.filter((_, at) => at % 3 === 2).map(({ value }) => value);
    expect(
      bad.map((value) => [value.split('\n').length, fieldsOf(value.split('\n')[0] ?? '').length]),
    ).toEqual([
      [1, 8],
      [1, 2],
      [2, 8],
      [1, 8],
    ]);
  });
});

describe('a field of COPY text as JSON', () => {
  it.each([
    ['\\N', 'string', 'null'],
    ['a\\tb\\\\"', 'string', '"a\\tb\\\\\\""'],
    ['12', 'int64', '12'],
    ['t', 'boolean', 'true'],
    ['false', 'boolean', 'false'],
    ['1970-01-02', 'date', '1'],
  ] as const)('%s, %s', (text, type, json) => {
    expect(jsonOf(text, type)).toBe(json);
  });
});
