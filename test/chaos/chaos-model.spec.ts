import { describe, expect, it } from '@jest/globals';
import { fileOf, row, rows, validBan } from '../support/small-file.js';
import { chaosFile } from './chaos-file.js';
import { ChaosModel } from './chaos-model.js';

const file = (...lines: string[]): Buffer => Buffer.from(fileOf(...lines));
const nameIn = (model: ChaosModel, number: number): string | undefined =>
  model.businesses.get(validBan(number))?.business_name;

describe('what the tables must hold', () => {
  function modelWith(...lines: string[]): ChaosModel {
    const model = new ChaosModel();
    model.accept(model.foresee('replace', file(...lines)));
    return model;
  }

  it('replace: the file alone; the first of a number wins, later ones are refused', () => {
    const model = modelWith(...rows(3));
    const expected = model.foresee('replace', file(row(7, { name: 'a' }), row(7, { name: 'b' })));
    expect(expected.counts).toMatchObject({
      read: 2,
      loaded: 1,
      inserted: 1,
      refusedAtLoad: 1,
      superseded: 0,
    });
    model.accept(expected);
    expect([...model.businesses.keys()]).toEqual([validBan(7)]);
    expect(nameIn(model, 7)).toBe('a');
  });

  it('append: what is there stays, with its children', () => {
    const model = modelWith(...rows(3));
    const again = row(2, { name: 'other' });
    const expected = model.foresee('append', file(again, row(3), row(3, { name: 'repeat' })));
    expect(expected.counts).toMatchObject({ accepted: 3, inserted: 1, superseded: 1, refusedAtLoad: 1 });
    model.accept(expected);
    expect(model.businesses.size).toBe(4);
    expect(nameIn(model, 2)).toBe('第2商行');
    expect(model.industries.get(validBan(3))).toHaveLength(1);
  });

  it('upsert: the last of a number wins, over the table and over the file; nothing is refused', () => {
    const model = modelWith(...rows(3));
    const lines = [row(0), row(1, { name: 'first' }), row(1, { name: 'last' }), row(9)];
    const expected = model.foresee('upsert', file(...lines));
    expect(expected.counts).toMatchObject({
      accepted: 4,
      loaded: 3,
      inserted: 1,
      updated: 1,
      unchanged: 1,
      superseded: 1,
      refused: 0,
    });
    model.accept(expected);
    expect(model.businesses.size).toBe(4);
    expect(nameIn(model, 1)).toBe('last');
  });
});

describe('the files of the rounds', () => {
  const plan = { rows: 2_000, contentSeed: 3, firstKey: 0 };

  it('are the same for the same plan', () => {
    expect(chaosFile(plan).equals(chaosFile(plan))).toBe(true);
  });

  it('overlap: inserted, updated, unchanged, superseded, refused and skipped all come up', () => {
    const model = new ChaosModel();
    model.accept(model.foresee('replace', chaosFile(plan)));
    const larger = model.foresee('upsert', chaosFile({ ...plan, rows: 3_000 }));
    for (const count of ['inserted', 'unchanged', 'superseded', 'refused', 'skipped', 'warnings'] as const) {
      expect(larger.counts[count]).toBeGreaterThan(0);
    }
    const others = model.foresee('upsert', chaosFile({ ...plan, contentSeed: 4 }));
    expect(others.counts.updated).toBeGreaterThan(1_000);
    const appended = model.foresee('append', chaosFile({ ...plan, contentSeed: 4, firstKey: 1_000 }));
    expect(appended.counts.superseded).toBeGreaterThan(500);
    expect(appended.counts.inserted).toBeGreaterThan(500);
    expect(appended.counts.refusedAtLoad).toBeGreaterThan(0);
  });
});
