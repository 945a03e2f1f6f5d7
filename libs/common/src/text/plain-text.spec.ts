import { describe, expect, it } from '@jest/globals';
import { plainText, shorten } from './plain-text.js';

describe('text from outside', () => {
  it('cannot steer the terminal it is shown on', () => {
    expect(plainText('a\u001b[2Jb\u0007\u009b31m\u0000')).toBe('a\\u001b[2Jb\\u0007\\u009b31m\\u0000');
    expect(plainText('one\r\ntwo\tthree')).toBe('one\\r\\ntwo\\tthree');
  });

  it('cannot turn the direction of writing around', () => {
    expect(plainText('abc\u202ecba')).toBe('abc\\u202ecba');
  });

  it('leaves characters of all scripts alone', () => {
    expect(plainText('臺北市　３號 𠮷 é')).toBe('臺北市　３號 𠮷 é');
  });

  it('is cut between characters, never inside one', () => {
    expect(shorten('𠮷𠮷𠮷𠮷', 3)).toBe('𠮷𠮷…');
    expect(shorten('abc', 3)).toBe('abc');
  });
});
