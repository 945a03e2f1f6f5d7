import { describe, expect, it } from '@jest/globals';
import { WAIT_CODES } from '#api/job-words.js';
import { STREAM_WAIT_CODES } from '#api/stream-words.js';
import { markdownFile } from './markdown-files.js';

describe('what a job waits for', () => {
  it('is listed in docs/operations.md, with the meanings that the code gives', () => {
    const rows = markdownFile('docs/operations.md')
      .section('What a job waits for')
      .matchAll(/^\| `([A-Z_]+)` +\| (.+?) +\|$/gm);
    expect(Object.fromEntries([...rows].map(([, code, meaning]) => [code, meaning]))).toEqual(WAIT_CODES);
  });
});

describe('what a stream waits for', () => {
  it('is listed in docs/streams.md, with the meanings that the code gives', () => {
    const rows = markdownFile('docs/streams.md')
      .section('What a stream waits for')
      .matchAll(/^\| `([A-Z_]+)` +\| (.+?) +\|$/gm);
    expect(Object.fromEntries([...rows].map(([, code, meaning]) => [code, meaning]))).toEqual(
      STREAM_WAIT_CODES,
    );
  });
});
