import { describe, expect, it } from '@jest/globals';
import {
  counted,
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
  formatShare,
  formatTime,
} from './format.js';

describe('numbers for people', () => {
  it.each([
    [0, '0'],
    [1234567, '1,234,567'],
    [51234.6, '51,235'],
  ])('count %d', (count, text) => {
    expect(formatCount(count)).toBe(text);
  });

  it.each([
    [0, '0 warnings'],
    [1, '1 warning'],
    [2000, '2,000 warnings'],
  ])('%d things', (count, text) => {
    expect(counted(count, 'warning')).toBe(text);
  });

  it.each([
    [0, '0.0 s'],
    [59.94, '59.9 s'],
    [59.96, '1 min 00 s'],
    [125, '2 min 05 s'],
    [3599.6, '1 h 00 min'],
    [3720, '1 h 02 min'],
    [86_399, '1 d 00 h'],
    [273_600, '3 d 04 h'],
  ])('%d seconds', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  it.each([
    [999, '999 B'],
    [51_500, '51.5 kB'],
    [999_960, '1.0 MB'],
    [322_000_000, '322.0 MB'],
  ])('%d bytes', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('shares, rates and times', () => {
    expect(formatShare(0.00214)).toBe('0.21 %');
    expect(formatRate(300_000, 12.5)).toBe('24,000 rows/s');
    expect(formatRate(300_000, null)).toBeUndefined();
    expect(formatRate(1, 0)).toBeUndefined();
    expect(formatTime('2026-01-31T12:00:05.123Z')).toBe('2026-01-31 12:00:05');
    expect(formatTime(null)).toBe('–');
  });
});
