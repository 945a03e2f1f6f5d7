import { SluiceError } from '#common/errors/sluice-error.js';
import { isDecoded } from '#core/source/encoding.js';
import { decoded } from '#core/source/text-decoding.js';
import { ByteReader } from '../byte-reader.js';
import { SIGNATURE_BYTES, contentKindOf } from './content-kind.js';
import { gunzip } from './gzip.js';
import { type RatioLimit, RatioMeter } from './inflate.js';
import { unzip } from './zip.js';

/** A source's content, and whether its bytes are those that are stored or sent. */
export interface Unpacked {
  readonly content: ByteReader;
  readonly isPlain: boolean;
}

/**
 * The content as UTF-8. Behind unpacking, and before anything judges what the text is; where an offset of the text is in
 * the source is not known, as with packed sources.
 * @param encoding of the unpacked content; undefined: as it is
 */
export function decode(unpacked: Unpacked, encoding: string | undefined): Unpacked {
  if (!isDecoded(encoding)) return unpacked;
  const { content } = unpacked;
  return { content: new ByteReader(decoded(content.rest(), encoding), content.display), isPlain: false };
}

/**
 * Undoes one layer of gzip or zip, recognised by content.
 * @throws SluiceError SOURCE_EMPTY, SOURCE_UNSUPPORTED for another packing or a second layer, and what the layer throws
 */
export async function unpack(raw: ByteReader, limit: RatioLimit): Promise<Unpacked> {
  const { display } = raw;
  const kind = contentKindOf(await raw.peek(SIGNATURE_BYTES));
  if (kind === 'plain') {
    if ((await raw.peek(1)).length === 0) throw empty(display, 'is empty');
    return { content: raw, isPlain: true };
  }
  if (kind === 'empty-zip') throw empty(display, 'is a zip without members');
  if (kind !== 'gzip' && kind !== 'zip') {
    throw unsupported(display, `is packed as ${kind}; only gzip and zip can be read`);
  }
  const meter = new RatioMeter(limit, display);
  const content = new ByteReader(kind === 'gzip' ? gunzip(raw, meter) : unzip(raw, meter), display);
  const head = await content.peek(SIGNATURE_BYTES);
  if (head.length === 0) throw empty(display, `is a ${kind} of nothing`);
  const inner = contentKindOf(head);
  if (inner !== 'plain') throw unsupported(display, `is packed twice: as ${inner} within ${kind}`);
  return { content, isPlain: false };
}

const TEXT_SAMPLE_BYTES = 1024;

/**
 * Object stores hand out whatever was stored as Content-Encoding: plain text stays plain under any name.
 * @param encoding the Content-Encoding, fit to be shown
 * @throws SluiceError SOURCE_UNSUPPORTED for a source that is no text
 */
export async function judgeAsText(raw: ByteReader, encoding: string): Promise<void> {
  const { display } = raw;
  const head = await raw.peek(TEXT_SAMPLE_BYTES);
  const named = `is sent with the Content-Encoding "${encoding}"`;
  if (/^[0-9a-f]+;chunk-signature=/i.test(head.toString('latin1', 0, 64))) {
    throw unsupported(display, `${named}, and its body still has the chunks of an upload between its bytes`);
  }
  // UTF-16 and UTF-32 begin with a mark; no other text has control characters but white space.
  const hasMark = /^(fffe|feff)/.test(head.toString('hex', 0, 2));
  if (hasMark || !head.some((byte) => byte < 0x20 && !TEXT_CONTROLS.has(byte))) return;
  throw unsupported(display, `${named}, which is not known, and is no text`);
}

/** TAB, LF, VT, FF, CR, SUB (the end of a file under DOS), ESC (ISO 2022). */
const TEXT_CONTROLS = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1a, 0x1b]);

function empty(display: string, what: string): SluiceError {
  return new SluiceError('SOURCE_EMPTY', `${display} ${what}.`, { file: display });
}

function unsupported(display: string, what: string): SluiceError {
  return new SluiceError('SOURCE_UNSUPPORTED', `${display} ${what}.`, { file: display });
}
