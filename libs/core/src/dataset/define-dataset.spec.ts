import { describe, expect, it } from '@jest/globals';
import { Column, Table } from './columns.js';
import { type DatasetDefinition, defineDataset } from './define-dataset.js';

@Table({ name: 'thing', key: ['id'] })
class Thing {
  @Column({ source: 'No.' }) id!: string;
  @Column({ sources: ['first', 'last'] }) name!: string | null;
}

describe('defineDataset', () => {
  it('fills in everything but the title and the contract', () => {
    const { prologue, ...rest } = defineDataset({ title: 'Things', contract: Thing });
    expect(rest).toEqual({
      name: '',
      title: 'Things',
      contract: Thing,
      contractVersion: 1,
      format: 'csv',
      writeModes: ['upsert', 'append', 'replace'],
      keepOfDuplicates: 'last',
      maxRefusedShare: 0.05,
      maxShrinkShare: 0.2,
      options: {},
    });
    expect(prologue(Buffer.from('No.,first\n1,x\n'), true)).toMatchObject({
      columns: ['No.', 'first'],
      findings: [],
    });
  });

  it('keeps what is said', () => {
    const prologue = (): undefined => undefined;
    const said = { writeModes: ['replace'], strict: true, name: 'things', prologue } as const;
    expect(defineDataset({ title: 'Things', contract: Thing, ...said })).toMatchObject(said);
  });

  it('reads heads by the format, the dialect and the encoding', () => {
    const ndjson = defineDataset({ title: 'Things', contract: Thing, format: 'ndjson' });
    expect(ndjson.prologue(Buffer.from('{"a":1}\n'), true)).toMatchObject({ columns: [], findings: [] });
    const named = defineDataset({ title: 'Things', contract: Thing, csv: { columns: ['No.', 'x'] } });
    expect(named.prologue(Buffer.from('1,x\n'), true)).toMatchObject({ columns: ['No.', 'x'], dataStart: 0 });
  });

  it('knows by the contract that a header has another delimiter, also of joined fields', () => {
    const { prologue } = defineDataset({ title: 'Things', contract: Thing });
    expect(prologue(Buffer.from('x;last\n1;2\n'), true)?.findings).toMatchObject([
      { code: 'SEPARATOR_WRONG' },
    ]);
  });

  it('refuses a member that no dataset has', () => {
    const misspelt = { title: 'Things', contract: Thing, enconding: 'big5' } as DatasetDefinition;
    expect(() => defineDataset(misspelt)).toThrow(
      expect.objectContaining({
        code: 'DATASET_INVALID',
        message: expect.stringContaining('"Things": defineDataset knows no enconding; it knows name, title,'),
      }),
    );
  });
});
