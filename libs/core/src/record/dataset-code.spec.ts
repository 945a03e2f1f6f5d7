import { describe, expect, it } from '@jest/globals';
import { Length } from 'class-validator';
import type { SluiceError } from '#common/errors/sluice-error.js';
import { batchOf, cutChunks } from '#test/support/record/cutting.js';
import { ChildTable, Children, Column, FromParent, Table } from '../dataset/columns.js';
import type { KindDefinition as Kind } from '../dataset/kinds.js';
import { defineRule } from '../dataset/rules.js';
import { compileContract } from './compile-contract.js';
import { DEFAULT_CUTTING } from './raw-batch.js';

const NO_INPUTS = { columns: ['id', 'name'], context: {}, options: {} };

describe('code of a dataset that throws', () => {
  it('does not stop a job where it is but the message of a rule', () => {
    @Table({ name: 'own', key: ['id'] })
    class Own {
      @Column({ source: 'id' }) id!: string;
      @Length(9, 12, { message: ({ value }) => boom(String(value)), context: { code: 'SHORT' } })
      @Column({ source: 'name' })
      name!: string;
    }
    const contract = compileContract({ name: 'own', contract: Own, format: 'csv' }, NO_INPUTS);
    expect([...contract.judge(batchOf('1,SECRET\n')).refused][0]?.findings).toEqual([
      {
        ...{ code: 'SHORT', field: 'name', severity: 'error' },
        message: 'name breaks the rule SHORT, whose message cannot be made',
      },
    ]);
  });

  const boom = (value: string): never => {
    throw new TypeError(`boom ${value}`);
  };
  const bad = (value: string): boolean => (value === 'SECRET' ? boom(value) : true);
  const kinds: Record<string, Kind> = {
    accepts: { name: 'own', message: 'x', accepts: bad },
    acceptsBytes: {
      name: 'own',
      message: 'x',
      accepts: () => true,
      acceptsBytes: (bytes, start, end) => bad(Buffer.from(bytes.subarray(start, end)).toString()),
    },
    toText: { name: 'own', message: 'x', accepts: () => true, toText: (value) => String(bad(value)) },
    nothing: { name: 'own', message: 'x', accepts: () => true, toText: () => undefined as unknown as string },
    write: {
      name: 'own',
      message: 'x',
      accepts: () => true,
      write: (bytes, start, end, out) => {
        out.ascii('half');
        bad(Buffer.from(bytes.subarray(start, end)).toString());
      },
    },
  };

  it.each(Object.keys(kinds))(
    'is reported by class, property, record and line, without the value: %s',
    (part) => {
      @Table({ name: 'own', key: ['id'] })
      class Own {
        @Column({ source: 'id' }) id!: string;
        @Column({ source: 'name', kind: kinds[part]! }) name!: string;
      }
      const contract = compileContract({ name: 'own', contract: Own, format: 'csv' }, NO_INPUTS);
      const from = { batch: 3, record: 100, line: 120, byte: 5000 };
      const options = { ...DEFAULT_CUTTING, format: 'csv', limitRecords: null } as const;
      const [batch] = cutChunks(
        [Buffer.from(`1,${part === 'nothing' ? '' : 'a'}\n2,SECRET\n`)],
        options,
        from,
      );
      const thrown = (() => {
        try {
          return contract.judge(batch!);
        } catch (error) {
          return error as SluiceError;
        }
      })() as SluiceError;
      expect(thrown).toMatchObject({
        code: 'DATASET_CODE_FAILED',
        place: { dataset: 'own', batch: 3, line: 121 },
      });
      expect(thrown.message).toMatch(
        /^Dataset own, class Own, property name, .*TypeError.* on record 101, line 121\.$/,
      );
      expect(JSON.stringify([thrown.message, thrown.place, thrown.cause])).not.toContain('SECRET');
      // The next batch is judged as if nothing had been.
      expect(contract.judge(batchOf('7,\n')).counts.accepted).toBe(1);
    },
  );

  it('names the class for a rule and for a child class', () => {
    const Own = defineRule({ name: 'own', accepts: bad, message: 'x' });
    @ChildTable({ name: 'part' })
    class Part {
      @FromParent('id') id!: string;
      @Column({ source: 'sku' }) @Own({ code: 'ODD' }) sku!: string;
    }
    @Table({ name: 'own', key: ['id'] })
    class Whole {
      @Column({ source: 'id' }) id!: string;
      @Children(() => Part, { path: 'parts' }) parts!: Part[];
    }
    const contract = compileContract({ name: 'own', contract: Whole, format: 'ndjson' }, NO_INPUTS);
    expect(() =>
      contract.judge(batchOf('{"id":1,"parts":[{"sku":"a"},{"sku":"SECRET"}]}', 'ndjson')),
    ).toThrow(
      /class Part, property sku, the check that gives ODD: it threw TypeError at \S+ on record 0, line 1\.$/,
    );
  });
});
