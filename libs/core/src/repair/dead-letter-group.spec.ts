import { describe, expect, it } from '@jest/globals';
import { DEAD_LETTER_STATES } from '#api/dead-letters.js';
import type { Finding } from '../finding/finding.js';
import { DeadLetterGroups, OTHER_SHAPES } from './dead-letter-group.js';
import { mayBecome } from './dead-letter-state.js';
import { FieldValues } from './field-value.js';

describe('the group of a dead letter', () => {
  const groups = new DeadLetterGroups(new FieldValues(), () => ({}));
  const finding = (code: string, field: string | null, severity: Finding['severity'] = 'error'): Finding => ({
    ...{ code, field, message: '', severity },
  });
  const groupOf = (findings: readonly Finding[], record = '1,Taipei', columns = ['no', 'city']) =>
    groups.groupOf({ dataset: 'shops', findings, columns, bytes: Buffer.from(record) });

  it('is that of its first error (DG1)', () => {
    const odd = finding('ODD', 'no', 'warning');
    expect(groupOf([odd, finding('BAD', 'city'), finding('WORSE', 'no')])).toMatchObject({
      ...{ dataset: 'shops', code: 'BAD', field: 'city', shape: 'A{4+}' },
    });
    expect(groupOf([odd])).toMatchObject({ code: 'ODD', shape: '9' });
    expect(groupOf([finding('MALFORMED_ROW', null)])).toMatchObject({ field: null, shape: '' });
    expect(groupOf([])).toMatchObject({ code: '', field: null, shape: '' });
  });

  it('has an id that follows from what it is, in every process (DG2)', () => {
    const group = groupOf([finding('BAD', 'city')]);
    expect(group.id).toBe('89fac0d4-c9b2-32e4-cc6c-7138b78e3309');
    expect(groupOf([finding('BAD', 'city')], '2,Kaohsiung')).toBe(group);
    const others = new DeadLetterGroups(new FieldValues(), () => ({}));
    expect(
      others.groupOf({
        dataset: 'shops',
        findings: [finding('BAD', 'city')],
        columns: ['city'],
        bytes: Buffer.from('Tainan'),
      }),
    ).toEqual(group);
    const distinct = [
      groupOf([finding('BAD', 'city')], '1,x'),
      groupOf([finding('BAD', 'no')]),
      groupOf([finding('BAD', null)]),
      groupOf([finding('BAD', '')]),
      groups.othersOf(group),
    ];
    expect(new Set([group, ...distinct].map(({ id }) => id)).size).toBe(6);
    expect(groups.othersOf(group)).toMatchObject({ code: 'BAD', field: 'city', shape: OTHER_SHAPES });
  });

  it('leaves places in arrays out of its field, not out of the value (DG3)', () => {
    const record = '{"items":[{"price":"a"},{"price":"12"}]}';
    const group = groupOf([finding('BAD', 'items[1].price')], record, []);
    expect(group).toMatchObject({ field: 'items[].price', shape: '99' });
  });

  it('does not keep every group that it has made: what a hostile topic names is forgotten', () => {
    const first = groupOf([finding('BAD', 'x0')]);
    for (let at = 1; at <= 10_000; at++) groupOf([finding('BAD', `x${at}`)]);
    expect(groupOf([finding('BAD', 'x0')])).not.toBe(first);
    expect(groupOf([finding('BAD', 'x0')])).toEqual(first);
  });
});

describe('the state of a dead letter', () => {
  it('changes as the table says, and final ones never (DS1)', () => {
    const changes = DEAD_LETTER_STATES.flatMap((from) =>
      DEAD_LETTER_STATES.filter((to) => mayBecome(from, to)).map((to) => `${from} → ${to}`),
    );
    expect(changes).toEqual([
      'open → resubmitted',
      'open → discarded',
      'resubmitted → open',
      'resubmitted → landed',
      'resubmitted → refused-again',
    ]);
  });
});
