import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ERROR_CODES } from '#common/errors/error-codes.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { EXIT_CODES, exitOfError, exitOfJob, knownErrorCode } from './exit-codes.js';

describe('exit codes', () => {
  it('are distinct', () => {
    const codes = Object.values(EXIT_CODES).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('stand in docs/cli.md, these and no others, with the same words', () => {
    const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| +(\d+) +\| (.+?) +\|$/gm)].map(([, code, meaning]) => [
      Number(code),
      meaning,
    ]);
    expect(rows).toEqual(Object.values(EXIT_CODES).map(({ code, meaning }) => [code, meaning]));
  });

  it.each([
    ['USAGE_INVALID', 'usage'],
    ['DATASET_UNKNOWN', 'usage'],
    ['SYSTEM_UNREACHABLE', 'notReachable'],
    ['DATABASE_UNAVAILABLE', 'notReachable'],
    ['JOB_ACTIVE', 'alreadyRunning'],
    ['QUESTION_DECLINED', 'cancelled'],
    ['JOB_NOTHING_TO_RESUME', 'nothingToResume'],
    ['JOB_RESUME_REFUSED', 'failed'],
    ['OUTPUT_UNWRITABLE', 'failed'],
  ] as const)('%s ends with %s', (code, exit) => {
    expect(exitOfError(new SluiceError(code, 'message'))).toBe(exit);
  });

  it('anything unexpected ends as failed', () => {
    expect(exitOfError(new TypeError('x'))).toBe('failed');
    expect(exitOfJob({ state: 'failed', error: null, problem: null })).toBe('failed');
  });

  it('a job that waits for an operator has its own code; one that has ended does not wait', () => {
    const problem = { code: 'BATCHES_MISSING', message: '', action: '', firstMissingBatch: 1 };
    expect(exitOfJob({ state: 'paused', error: null, problem: null })).toBe('waits');
    expect(exitOfJob({ state: 'running', error: null, problem })).toBe('waits');
    expect(exitOfJob({ state: 'succeeded', error: null, problem })).toBe('success');
  });

  it.each(['JOB_NOTHING_LOADED', 'DATASET_CODE_FAILED', 'BALANCE_BROKEN', 'SOURCE_REFUSED'])(
    'a job that failed by %s is no success to a script',
    (code) => {
      expect(exitOfJob({ state: 'failed', error: { code, message: '' } as never, problem: null })).toBe(
        'failed',
      );
    },
  );

  it('a code from a newer service is not taken for one of ours', () => {
    expect(knownErrorCode('toString')).toBe('INTERNAL');
    for (const code of Object.keys(ERROR_CODES)) expect(knownErrorCode(code)).toBe(code);
  });
});
