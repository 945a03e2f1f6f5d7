/**
 * Text as bytes of an encoding that Node can only decode: the table is turned round once. PURE. For generated files and
 * tests; nothing on the path of a record is encoded.
 */
import { decodeAll } from '../source/text-decoding.js';

/** @param label of the WHATWG encoding standard, with one or two bytes a character, or UTF-8 or UTF-16 */
export function encoderOf(label: string): (text: string) => Buffer {
  const { encoding } = new TextDecoder(label);
  if (encoding === 'utf-8') return (text) => Buffer.from(text);
  if (encoding === 'utf-16le') return (text) => Buffer.from(text, 'utf16le');
  if (encoding === 'utf-16be') return (text) => Buffer.from(text, 'utf16le').swap16();
  let table: ReadonlyMap<string, Buffer> | undefined;
  return (text) => {
    if (/^[\0-\x7f]*$/.test(text)) return Buffer.from(text, 'latin1');
    table ??= tableOf(encoding);
    return Buffer.concat(Array.from(text, (character) => table?.get(character) ?? Buffer.from('?')));
  };
}

function tableOf(encoding: string): Map<string, Buffer> {
  const table = new Map<string, Buffer>();
  const add = (...bytes: number[]): void => {
    const character = decodeAll(Buffer.from(bytes), encoding).toString();
    const isOne = Array.from(character).length === 1 && character !== '\uFFFD';
    if (isOne && !table.has(character)) table.set(character, Buffer.from(bytes));
  };
  for (let first = 0; first < 256; first += 1) add(first);
  for (let first = 0x81; first < 256; first += 1)
    for (let second = 0x30; second < 256; second += 1) add(first, second);
  return table;
}
