/**
 * Decodes a source's bytes into UTF-8, chunk by chunk. PURE.
 *
 * - TD1: what comes out depends on the bytes alone, never on how they came in pieces.
 * - TD2: what means nothing in the encoding becomes U+FFFD, never nothing at all; nothing throws.
 * - TD3: a byte order mark at the very beginning goes before the label, as the WHATWG encoding standard has it: UTF-16 of
 *   the other byte order, and UTF-8 instead of anything, are read as what they are. The mark of UTF-16 is left out.
 *
 * It is Node's TextDecoder (ICU) but for two faults of it, and a difference:
 * - windows-1252, which is what `latin1` means, comes out with control characters for bytes 80 to 9F from Node 20.18.3 on
 *   (nodejs/node#56542): a table of its own here.
 * - with `stream`, a call with a few bytes throws when more characters come of them than they are (GB18030, ISO-2022-JP;
 *   seen on Node 20.20 with chunks of three bytes): it is given MIN_DECODED_BYTES at least.
 * And ICU gives single bytes without a character a control or private character, where the standard has U+FFFD (TD2).
 */
import { encodingOf } from './encoding.js';

const MIN_DECODED_BYTES = 64;
const LONGEST_MARK_BYTES = 3;
const MARKS: readonly (readonly [encoding: string, bytes: Buffer])[] = [
  ['utf-8', Buffer.of(0xef, 0xbb, 0xbf)],
  ['utf-16le', Buffer.of(0xff, 0xfe)],
  ['utf-16be', Buffer.of(0xfe, 0xff)],
];

export class TextDecoding {
  private held: Buffer = Buffer.alloc(0);
  private decoder: Decoder | null = null;

  /** @param label that `encodingOf` knows */
  constructor(private readonly label: string) {}

  /** @returns what can be said so far, perhaps nothing */
  push(chunk: Buffer): Buffer {
    const bytes = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]);
    // The last bytes are held back, so that the last call has enough of them, too.
    const length = bytes.length - MIN_DECODED_BYTES;
    const isEnough = length >= MIN_DECODED_BYTES;
    this.held = Buffer.from(isEnough ? bytes.subarray(length) : bytes);
    return isEnough ? this.decode(bytes.subarray(0, length), false) : NOTHING;
  }

  /** The source has ended. @returns what is left */
  end(): Buffer {
    const left = this.held;
    this.held = NOTHING;
    return this.decode(left, true);
  }

  private decode(bytes: Buffer, isLast: boolean): Buffer {
    this.decoder ??= decoderOf(this.label, bytes.subarray(0, LONGEST_MARK_BYTES));
    return this.decoder(bytes, isLast);
  }
}

/** The same of bytes that are all there. */
export function decodeAll(bytes: Buffer, label: string): Buffer {
  const decoding = new TextDecoding(label);
  return Buffer.concat([decoding.push(bytes), decoding.end()]);
}

const NOTHING = Buffer.alloc(0);

type Decoder = (bytes: Buffer, isLast: boolean) => Buffer;

function decoderOf(label: string, start: Buffer): Decoder {
  const marked = MARKS.find(([, mark]) => start.subarray(0, mark.length).equals(mark))?.[0];
  const encoding = marked ?? encodingOf(label) ?? label;
  if (encoding === 'utf-8') return (bytes) => Buffer.from(bytes);
  if (encoding === 'windows-1252') return fromWindows1252;
  const decoder = new TextDecoder(encoding);
  const meaningless = MEANINGLESS[encoding];
  return (bytes, isLast) => {
    const text = decoder.decode(bytes, { stream: !isLast });
    return Buffer.from(meaningless === undefined ? text : text.replaceAll(meaningless, '\ufffd'));
  };
}

/** What ICU makes of single bytes that have no character; beyond the private characters that Big5 and GBK do have. */
const MEANINGLESS: Readonly<Record<string, RegExp>> = {
  big5: /[\u0080-\u009f\uf8f8]/g,
  gbk: /\uf8f5/g,
  'euc-jp': /[\u0080-\u009f]/g,
  'euc-kr': /[\u0080-\u009f]/g,
  'windows-874': /[\uf8c1-\uf8c8]/g,
};

/** Bytes 80 to 9F; the standard gives the five that have no character the control character of their number. */
const FROM_80 =
  '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f' +
  '\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178';
const HIGH = Array.from({ length: 128 }, (_, at) =>
  Buffer.from(FROM_80[at] ?? String.fromCharCode(0x80 + at)),
);
const MOST_BYTES_A_CHARACTER = 3;

function fromWindows1252(bytes: Buffer): Buffer {
  const text = Buffer.allocUnsafe(bytes.length * MOST_BYTES_A_CHARACTER);
  let length = 0;
  for (const byte of bytes) {
    if (byte < 0x80) {
      text[length] = byte;
      length += 1;
    } else length += HIGH[byte - 0x80]?.copy(text, length) ?? 0;
  }
  return text.subarray(0, length);
}

/** The chunks of a source as UTF-8. */
export async function* decoded(chunks: AsyncIterable<Buffer>, label: string): AsyncGenerator<Buffer> {
  const decoding = new TextDecoding(label);
  for await (const chunk of chunks) {
    const text = decoding.push(chunk);
    if (text.length > 0) yield text;
  }
  const rest = decoding.end();
  if (rest.length > 0) yield rest;
}
