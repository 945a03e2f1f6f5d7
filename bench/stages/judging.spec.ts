import { describe, expect, it } from '@jest/globals';
import { cutChunks } from '#test/support/record/cutting.js';
import { checkPlainly } from './judging-plainly.js';
import { check, cut, decode, encode, judgeSlice } from './judging.js';
import {
  CUTTING,
  RegistrationSlice,
  START,
  compileRegistrations,
  registrations,
  repeated,
} from './registrations.js';

/** Two batches. */
const ROWS = 5000;
const slice = new RegistrationSlice(ROWS);
const rowsOf = (batches: readonly { readonly records: number }[]): number =>
  batches.reduce((sum, { records }) => sum + records, 0);

describe('a slice of registrations', () => {
  it('holds every row of its file, behind the head', () => {
    const file = Buffer.concat([...registrations(ROWS)]);
    const cutAgain = Buffer.concat(slice.batches.map(({ bytes }) => bytes));
    expect(rowsOf(slice.batches)).toBe(ROWS);
    expect(cutAgain.equals(slice.records)).toBe(true);
    expect(file.subarray(-slice.records.length).equals(slice.records)).toBe(true);
  });

  it('comes again from the start when more is wanted', () => {
    const wanted = Buffer.concat([slice.records, slice.records]);
    const given: Buffer[] = [];
    let bytes = 0;
    for (const chunk of slice.chunks()) {
      given.push(chunk);
      bytes += chunk.length;
      if (bytes >= wanted.length) break;
    }
    expect(Buffer.concat(given).equals(wanted)).toBe(true);
  });
});

describe('repeated', () => {
  it.each([
    [1, 'a'],
    [5, 'ab'],
    [7, 'aba'],
  ])('gives whole batches until %d rows have come', (rows, expected) => {
    const given = [...repeated(['a', 'b'], rows, (batch) => (batch === 'a' ? 2 : 3))];
    expect(given.join('')).toBe(expected);
  });

  it('does not repeat for ever without rows', () => {
    expect(() => [...repeated(['a'], 1, () => 0)]).toThrow(RangeError);
  });
});

describe('the stages of one process', () => {
  it('cut exactly the rows that are wanted, also more than are held', () => {
    expect(cut(slice, ROWS)).toEqual({ rows: ROWS, bytes: slice.records.length });
    expect(cut(slice, 2 * ROWS + 1)).toMatchObject({ rows: 2 * ROWS + 1 });
  });

  it('take in all rows and bytes', () => {
    const judged = judgeSlice(slice);
    const clean = judged.reduce((sum, { messages }) => sum + (messages.clean.value?.length ?? 0), 0);
    const both = { rows: ROWS, bytes: slice.records.length + clean };
    expect(check(compileRegistrations(), slice.batches, ROWS)).toEqual({
      rows: ROWS,
      bytes: slice.records.length,
    });
    expect(encode(judged, ROWS)).toMatchObject(both);
    expect(decode(judged, ROWS)).toMatchObject(both);
  });

  it('judge the plain way as the compiled one does', () => {
    const odd = [
      `"a",10000009,,"no capital",x,0730825,獨資,Y,681200,不動產租售,,,,,,`,
      `"a",10000009,,"no date",1,0731325,獨資,Y,681200,不動產租售,,,,,,`,
      `"a",1000,,"no number",1,0730825,獨資,Y,681200,不動產租售,,,,,,`,
    ];
    const { records } = new RegistrationSlice(1000, { defectShare: 0, repeatShare: 0 });
    const all = Buffer.concat([records, Buffer.from(`${odd.join('\n')}\n`)]);
    const contract = compileRegistrations();
    const counts = cutChunks([all], CUTTING, START).map((batch) => contract.judge(batch).counts);
    const plain = checkPlainly(all);
    expect(plain).toEqual({
      rows: 1003,
      bytes: all.length,
      accepted: counts.reduce((sum, { accepted }) => sum + accepted, 0),
      warnings: counts.reduce((sum, { warnings }) => sum + warnings, 0),
    });
    expect(plain).toMatchObject({ accepted: 1002, warnings: 2 });
  });
});
