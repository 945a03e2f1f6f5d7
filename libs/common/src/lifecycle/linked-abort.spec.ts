import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { linkAborts } from './linked-abort.js';

describe('linkAborts', () => {
  const [one, other] = [new AbortController(), new AbortController()];

  it('is aborted by the first of its signals, with its reason', () => {
    const ends = new AbortController();
    const { signal } = linkAborts(one.signal, ends.signal);
    expect(signal.aborted).toBe(false);
    ends.abort(new RangeError('over'));
    expect(signal.reason).toEqual(new RangeError('over'));
    expect(getEventListeners(one.signal, 'abort')).toEqual([]);
  });

  it('is aborted from the beginning by one that was', () => {
    const { signal } = linkAborts(one.signal, AbortSignal.abort('before'));
    expect(signal.reason).toBe('before');
    expect(getEventListeners(one.signal, 'abort')).toEqual([]);
  });

  it('leaves nothing behind in signals that live on', () => {
    const { signal, unlink } = linkAborts(one.signal, other.signal);
    expect(getEventListeners(one.signal, 'abort')).toHaveLength(1);
    unlink();
    expect([one, other].flatMap((each) => getEventListeners(each.signal, 'abort'))).toEqual([]);
    one.abort();
    expect(signal.aborted).toBe(false);
  });
});
