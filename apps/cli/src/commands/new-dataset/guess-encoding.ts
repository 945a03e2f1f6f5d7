/**
 * Which encoding a sample is written in. PURE. Certain for UTF-8 and for what begins with a byte order mark; else the
 * label under which the text looks most like its languages. A guess, and reported as one.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { findWrongKindOfFile } from '#core/dataset/file-head.js';
import { decodeAll } from '#core/source/text-decoding.js';

export interface EncodingGuess {
  /** A label of the WHATWG encoding standard. */
  readonly label: string;
  readonly isCertain: boolean;
}

interface Reading {
  /** A label of the WHATWG encoding standard. */
  readonly label: string;
  /** Of the bytes that are not ASCII, how many a text of these languages could well hold: from 0 to 1. */
  readonly plausible: (text: string) => number;
  /** Characters that texts of these languages have many of. */
  readonly common: RegExp;
}

const READINGS: readonly Reading[] = [
  {
    label: 'big5',
    plausible: ofTwoBytes(() => level1('big5', 0xa4, 0xc6)),
    common:
      /[的是在有人一不我他這中大來上國個到說們為子和你地出道也時年市區路街號樓縣公司限商行店業實臺台北新股份]/gu,
  },
  {
    label: 'gb18030',
    plausible: ofTwoBytes(() => level1('gb18030', 0xb0, 0xd7)),
    common:
      /[的是在有人一不我他这中大来上国个到说们为子和你地出道也时年市区路街号楼县公司限商行店业实北新股份]/gu,
  },
  {
    label: 'shift_jis',
    plausible: ofTwoBytes(
      () => /[\u3041-\u30FE]/u,
      () => level1('shift_jis', 0x88, 0x97),
    ),
    common: /[\u3041-\u30FE]|[市区町村県株式会社東京大田山]/gu,
  },
  {
    label: 'euc-kr',
    plausible: ofTwoBytes(() => /[가-힣]/u),
    common: /[이다는의가을에고지하한로도기사를리인자어시정은그대서주구동수김부문상원화]/gu,
  },
  {
    label: 'windows-1251',
    plausible: ofOneByte(
      /[а-яёєіїґў№«»–—“”„…]/giu,
      // ASCII beside Cyrillic, and capitals within words.
      /(?<=[a-z])[а-яёєіїґў]|[а-яёєіїґў](?=[a-z])|(?<=[а-яёєіїґў])[А-ЯЁЄІЇҐЎ](?=[а-яёєіїґў])/gu,
    ),
    common: /[оеаинтсрвлкмдпуя]/giu,
  },
  {
    label: 'windows-1252',
    plausible: ofOneByte(
      /[äöüßéèêëàâçîïôûùñáíóúåøæãõœìòýð€–—’“”«»°§£…]/giu,
      /[äöüßéèêëàâçîïôûùñáíóúåøæãõœìòýð](?=[äöüßéèêëàâçîïôûùñáíóúåøæãõœìòýð])/giu,
    ),
    common: /[äöüßéèàçñáíóåøæã]/giu,
  },
];

/** In full-width forms every language of these encodings has them. */
const PUNCTUATION = /[\u3000-\u3020\uFF01-\uFF5E]/u;
const NOT_ASCII = /[^\0-\x7f]/gu;
/** One alone beside ASCII words: what two bytes of a Western word give. */
const LONE = /(?<=[a-z])(?<![^\0-\x7f])[^\0-\x7f](?![^\0-\x7f])|(?<![^\0-\x7f])[^\0-\x7f](?=[a-z])/giu;

/** @param tables the characters that these languages write, each table made when it is first needed */
function ofTwoBytes(...tables: readonly (() => RegExp | ReadonlySet<string>)[]): Reading['plausible'] {
  return (text) => {
    const known = tables.map((table) => table());
    const all = text.match(NOT_ASCII) ?? [];
    const good = all.filter(
      (character) =>
        PUNCTUATION.test(character) ||
        known.some((table) => (table instanceof RegExp ? table.test(character) : table.has(character))),
    );
    return (good.length - countOf(text, LONE)) / all.length;
  };
}

function ofOneByte(letters: RegExp, odd: RegExp): Reading['plausible'] {
  return (text) => (countOf(text, letters) - countOf(text, odd)) / countOf(text, NOT_ASCII);
}

const LEVELS = new Map<string, ReadonlySet<string>>();

/** The characters of a standard's first level, the usual ones, which stand in rows of their own. */
function level1(label: string, firstRow: number, lastRow: number): ReadonlySet<string> {
  const known = LEVELS.get(label);
  if (known !== undefined) return known;
  const bytes: number[] = [];
  for (let row = firstRow; row <= lastRow; row += 1)
    for (let cell = label === 'gb18030' ? 0xa1 : 0x40; cell <= 0xfe; cell += 1) bytes.push(row, cell, 0x20);
  const level = new Set(
    decodeAll(Buffer.from(bytes), label)
      .toString()
      .match(/\p{Script=Han}/gu),
  );
  LEVELS.set(label, level);
  return level;
}

/** Of the characters that are not ASCII, how many may be broken in a text that still is UTF-8. */
const MAX_BROKEN_SHARE = 0.1;
const LOOKED_AT_BYTES = 4096;
const MAX_SCORED_BYTES = 256 * 1024;

/** @param sample the source's first bytes; may end inside a character */
export function guessEncoding(sample: Buffer): EncodingGuess {
  if (sample[0] === 0xff && sample[1] === 0xfe) return { label: 'utf-16le', isCertain: true };
  if (sample[0] === 0xfe && sample[1] === 0xff) return { label: 'utf-16be', isCertain: true };
  const wrong = findWrongKindOfFile(sample.subarray(0, LOOKED_AT_BYTES), true);
  if (typeof wrong === 'object' && wrong.code === 'FILE_NOT_UTF8')
    return { label: wrong.message.includes('big-endian') ? 'utf-16be' : 'utf-16le', isCertain: true };
  if (isUtf8(withoutCutCharacter(sample))) return { label: 'utf-8', isCertain: true };
  const utf8 = sample.toString();
  const broken = countOf(utf8, /\uFFFD/gu);
  if (broken <= countOf(utf8, /[^\0-\x7f]/gu) * MAX_BROKEN_SHARE) return { label: 'utf-8', isCertain: false };
  const foreign = linesBeyondAscii(sample);
  const scored = READINGS.map(({ label, plausible, common }) => {
    const text = decodeSample(foreign, label);
    const all = countOf(text, NOT_ASCII);
    // A sample may end inside a character.
    const undecoded = countOf(text, /\uFFFD(?!$)/gu);
    return { label, score: plausible(text) + countOf(text, common) / all / 2 - (undecoded * 20) / all };
  });
  scored.sort((a, b) => b.score - a.score);
  return { label: scored[0]?.label ?? 'windows-1252', isCertain: false };
}

/** Whole lines that say something of the encoding, MAX_SCORED_BYTES of them or a little more. */
function linesBeyondAscii(sample: Buffer): Buffer {
  const lines: Buffer[] = [];
  let bytes = 0;
  for (let start = 0; start < sample.length && bytes < MAX_SCORED_BYTES;) {
    const feed = sample.indexOf(0x0a, start);
    const line = sample.subarray(start, feed === -1 ? sample.length : feed + 1);
    start += line.length;
    if (isAscii(line)) continue;
    const kept = line.subarray(0, MAX_SCORED_BYTES);
    lines.push(kept);
    bytes += kept.length;
  }
  return Buffer.concat(lines);
}

/** As the ingestor decodes it. */
export function decodeSample(sample: Buffer, label: string): string {
  return label === 'utf-8' ? new TextDecoder().decode(sample) : decodeAll(sample, label).toString();
}

/** UTF-8 characters have four bytes at most: an incomplete one at the end of a sample says nothing. */
function withoutCutCharacter(sample: Buffer): Buffer {
  for (let back = 1; back <= Math.min(3, sample.length); back += 1) {
    const byte = sample[sample.length - back] ?? 0;
    if (byte < 0x80) return sample;
    if (byte >= 0xc0) return sample.subarray(0, sample.length - back);
  }
  return sample;
}

function countOf(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
