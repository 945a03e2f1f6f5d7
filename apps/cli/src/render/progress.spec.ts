import { describe, expect, it } from '@jest/globals';
import type { JobDetail } from '#api/jobs.js';
import { jobDetail } from '#test/support/cli/api-server.js';
import { TextSink } from '#test/support/cli/cli-harness.js';
import { progressOn } from './progress.js';

const finalizing = (step: string): JobDetail => jobDetail({ state: 'finalizing', step });

describe('progress elsewhere than on a terminal', () => {
  it('is at most one line in two seconds, and only news', () => {
    const stream = new TextSink();
    let now = 0;
    const progress = progressOn(stream, () => now);
    const at = (ms: number, step: string): void => {
      now = ms;
      progress.update(finalizing(step));
    };
    at(0, 'index');
    at(1999, 'constraints'); // too early, and old news when the next line is due
    at(2000, 'settle');
    at(5000, 'settle');
    at(5001, 'swap');
    progress.stop();
    expect(stream.text).toBe('finalizing: index\nfinalizing: settle\nfinalizing: swap\n');
  });

  it('says what a job waits for', () => {
    const stream = new TextSink();
    const wait = {
      stage: 'finalize',
      code: 'SLOT_TAKEN',
      message: 'two others\u0007 first',
      since: '',
    } as const;
    progressOn(stream, () => 0).update(jobDetail({ state: 'queued', wait }));
    expect(stream.text).toBe('queued; waits (finalize): two others\\u0007 first\n');
  });

  it('is nothing but notes when it has to be quiet', () => {
    const stream = new TextSink();
    const progress = progressOn(stream, () => 0, true);
    progress.update(finalizing('index'));
    progress.note('The tracker does not answer.');
    expect(stream.text).toBe('The tracker does not answer.\n');
  });
});
