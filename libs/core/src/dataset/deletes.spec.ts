import { describe, expect, it } from '@jest/globals';
import { deletesProblems, resolveDeletes } from './deletes.js';

const MODES = ['upsert', 'append'];
const MARKER = { source: 'op', values: ['d'] };

describe('Dataset.deletes', () => {
  it.each([
    undefined,
    'tombstone',
    { tombstones: true },
    { marker: MARKER },
    { tombstones: false, marker: { ...MARKER, optional: true } },
  ])('may be %j', (deletes) => {
    expect(deletesProblems(deletes, MODES)).toEqual([]);
  });

  it.each([
    ['all', `deletes is neither 'tombstone' nor an object`],
    [null, `deletes is neither 'tombstone' nor an object`],
    [{}, 'deletes names neither tombstones nor a marker'],
    [{ tombstones: false }, 'deletes names neither tombstones nor a marker'],
    [{ tombstones: 1, marker: MARKER }, 'deletes.tombstones is neither true nor false'],
    [{ tombstone: true, marker: MARKER }, 'deletes has no option "tombstone"; it has tombstones, marker'],
    [{ marker: 'op' }, 'deletes.marker is not an object'],
    [{ marker: { ...MARKER, source: '' } }, 'deletes.marker.source is no name'],
    [
      { marker: { ...MARKER, value: 'd' } },
      'deletes.marker has no option "value"; it has source, values, optional',
    ],
    [{ marker: { source: 'op' } }, 'deletes.marker.values is not a list of different texts'],
    [{ marker: { ...MARKER, values: ['d', 'd'] } }, 'deletes.marker.values is not a list of different texts'],
    [{ marker: { ...MARKER, values: [''] } }, 'deletes.marker.values is not a list of different texts'],
    [{ marker: { ...MARKER, optional: 'yes' } }, 'deletes.marker.optional is neither true nor false'],
  ])('cannot be %j', (deletes, problem) => {
    expect(deletesProblems(deletes, MODES)).toEqual([problem]);
  });

  it('needs the mode in which it means something', () => {
    expect(deletesProblems('tombstone', ['replace', 'append'])).toEqual([
      'deletes need mode upsert, which writeModes does not allow',
    ]);
  });

  it('has a short form and defaults', () => {
    expect(resolveDeletes(undefined)).toBeNull();
    expect(resolveDeletes('tombstone')).toEqual({ tombstones: true, marker: null });
    expect(resolveDeletes({ marker: MARKER })).toEqual({
      tombstones: false,
      marker: { ...MARKER, optional: false },
    });
  });
});
