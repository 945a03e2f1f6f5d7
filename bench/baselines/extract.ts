import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { GenerateOptions } from '#core/dataset/generate.js';
import { generate } from '#datasets/tax-registration/generator.js';

/** Of the generator's date line. */
const GENERATED_DATE = '01-SEP-26';

export interface ExtractOptions extends GenerateOptions {
  /** `DD-MON-YY`, for the extract of another day. */
  readonly date?: string;
}

/** A file for Sluice, with whatever defects and oddities the options ask for. */
export async function writeExtract(file: string, options: ExtractOptions): Promise<void> {
  await pipeline(Readable.from(dated(generate(options), options.date)), createWriteStream(file));
}

/**
 * A clean file for psql: only rows in the publisher's own form. Even without defects one generated row in a thousand is
 * odd and right. Two of these oddities no COPY can read (a quote inside a bare field, a single CRLF among LFs), and
 * psql before 18 takes `\.` on a line of a quoted field for the end of the file, without a word. The published file
 * has none of them (README of the dataset, section 8), so psql shall not have to pay for them either.
 */
export async function writePublishedForm(
  file: string,
  { rows, seed, date }: Pick<ExtractOptions, 'rows' | 'seed' | 'date'>,
): Promise<void> {
  // More than enough to make up for what is left out.
  const source = generate({ rows: Math.ceil(rows * 1.01) + 100, seed, defectShare: 0, repeatShare: 0 });
  await pipeline(Readable.from(publishedRows(dated(source, date), rows)), createWriteStream(file));
}

/** Address and name quoted, everything else bare; README of the dataset, section 2. */
const PUBLISHED_ROW = /^"[^"\\]*",\d{8},(?:\d{8})?,"[^"\\]*",\d*,(?:\d{7})?,[^,"\r]+,[YN](?:,[^,"\r]*){8}$/;
const HEAD_LINES = 2;

function* publishedRows(chunks: Iterable<Buffer>, rows: number): Generator<Buffer> {
  let wanted = rows;
  let head = HEAD_LINES;
  for (const chunk of chunks) {
    const kept: string[] = [];
    // Each chunk ends with a whole record.
    for (const line of chunk.toString().split('\n').slice(0, -1)) {
      if (head > 0) head -= 1;
      else if (wanted > 0 && PUBLISHED_ROW.test(line)) wanted -= 1;
      else continue;
      kept.push(line, '\n');
    }
    yield Buffer.from(kept.join(''));
    if (wanted === 0) return;
  }
  throw new RangeError(`The generator had ${wanted} rows too few in the publisher's form.`);
}

function* dated(chunks: Iterable<Buffer>, date = GENERATED_DATE): Generator<Buffer> {
  let isFirst = true;
  for (const chunk of chunks) {
    yield isFirst && date !== GENERATED_DATE
      ? Buffer.from(chunk.toString().replace(GENERATED_DATE, date))
      : chunk;
    isFirst = false;
  }
}
