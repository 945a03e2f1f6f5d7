/**
 * What the headers of an inbox's message say: which columns it has, what context its record needs, and whether its format
 * is the dataset's. PURE.
 */
import type { RawHeaders } from '#common/kafka/message.js';
import type { SourceFormat } from '../dataset/dataset.js';
import { RESERVED_PREFIX } from './compile/constants.js';
import type { MessageFaultCode, MessageHead } from './raw-batch.js';

/** A head, and a text that is the same for equal heads. */
export interface KeyedHead extends MessageHead {
  readonly key: string;
}

/** Of a dataset's inbox. */
export interface HeadDefaults {
  readonly format: SourceFormat;
  /** Of a message that names none. */
  readonly columns: readonly string[];
  /** Whether the contract can be compiled for it: its columns are there, its context fits their kinds. */
  readonly accepts: (head: MessageHead) => boolean;
}

interface LastHead {
  readonly contentType: Buffer | null;
  readonly columns: Buffer | null;
  readonly context: Buffer | null;
  readonly head: KeyedHead | MessageFaultCode;
}

function isSame(one: Buffer | null, other: Buffer | null): boolean {
  return one === other || (one !== null && other !== null && one.equals(other));
}

/** As much as a file's head may hold. */
const MAX_COLUMNS_BYTES = 64 * 1024;
const MAX_CONTEXT_BYTES = 1024;
/** Heads that stay understood: a producer has one or two. */
const MAX_KNOWN = 64;

/** `application/octet-stream` and `text/plain` say nothing about a format. */
const SAYS_NOTHING = /^(application\/octet-stream|text\/plain)$/;
const CONTENT_TYPES: Readonly<Record<SourceFormat, RegExp>> = {
  csv: /^(text|application)\/(x-)?(csv|tab-separated-values)$/,
  ndjson: /^((text|application)\/(x-)?(json|ndjson|jsonl|jsonlines|json-seq)|application\/.+\+json)$/,
};
/** UTF-8 and its subset: messages have no other encoding. */
const CHARSETS = /^"?(utf-?8|us-ascii|ascii)"?$/;

/** Understands the heads of messages; each that differs is understood once. */
export class MessageHeads {
  private readonly known = new Map<string, KeyedHead | MessageFaultCode>();
  private readonly defaultHead: KeyedHead;
  /** Nearly every message says what the one before it said. */
  private last: LastHead | null = null;

  constructor(private readonly defaults: HeadDefaults) {
    this.defaultHead = keyed({ columns: defaults.columns, context: {} });
  }

  /** Of a message whose headers say nothing. */
  get default(): KeyedHead {
    return this.defaultHead;
  }

  /** @returns the head, or why the message cannot be used */
  of(headers: RawHeaders): KeyedHead | MessageFaultCode {
    const contentType = lastOf(headers['content-type']);
    const columns = this.defaults.format === 'csv' ? lastOf(headers['columns']) : null;
    const context = lastOf(headers['context']);
    if (contentType === null && columns === null && context === null) return this.defaultHead;
    const { last } = this;
    if (
      last !== null &&
      isSame(last.contentType, contentType) &&
      isSame(last.columns, columns) &&
      isSame(last.context, context)
    )
      return last.head;
    const head = this.lookedUp(contentType, columns, context);
    this.last = { contentType, columns, context, head };
    return head;
  }

  private lookedUp(
    contentType: Buffer | null,
    columns: Buffer | null,
    context: Buffer | null,
  ): KeyedHead | MessageFaultCode {
    // Bytes that are not UTF-8 are no head, however they are taken for text.
    const id = JSON.stringify(
      [contentType, columns, context].map((part) => part?.toString('latin1') ?? null),
    );
    const known = this.known.get(id);
    if (known !== undefined) return known;
    const head = this.understood(contentType, columns, context);
    if (this.known.size >= MAX_KNOWN) this.known.clear();
    this.known.set(id, head);
    return head;
  }

  private understood(
    contentType: Buffer | null,
    columns: Buffer | null,
    context: Buffer | null,
  ): KeyedHead | MessageFaultCode {
    const { format, columns: defaultColumns, accepts } = this.defaults;
    if (contentType !== null && !isOfFormat(contentType.toString(), format)) return 'WRONG_CONTENT_TYPE';
    const head = {
      columns: columns === null ? defaultColumns : columnsOf(columns),
      context: context === null ? {} : contextOf(context),
    };
    if (head.columns === null || head.context === null) return 'BAD_MESSAGE_HEADER';
    const { columns: named, context: facts } = head;
    const isDefault = columns === null && context === null;
    if (isDefault) return this.defaultHead;
    return accepts({ columns: named, context: facts })
      ? keyed({ columns: named, context: facts })
      : 'BAD_MESSAGE_HEADER';
  }
}

function keyed({ columns, context }: MessageHead): KeyedHead {
  return { columns, context, key: JSON.stringify([columns, context]) };
}

/** Of a header that is given several times the last one counts, as Kafka's clients have it. */
function lastOf(given: RawHeaders[string] | null): Buffer | null {
  const last = Array.isArray(given) ? given.at(-1) : given;
  if (last === undefined || last === null) return null;
  return typeof last === 'string' ? Buffer.from(last) : last;
}

function isOfFormat(contentType: string, format: SourceFormat): boolean {
  const [type = '', ...parameters] = contentType
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length);
  if (charset !== undefined && !CHARSETS.test(charset)) return false;
  return SAYS_NOTHING.test(type) || CONTENT_TYPES[format].test(type);
}

/** A JSON list, or names between commas; null when it is neither, or names one twice. */
function columnsOf(header: Buffer): readonly string[] | null {
  if (header.length > MAX_COLUMNS_BYTES) return null;
  const text = header.toString();
  const names = text.trimStart().startsWith('[') ? parsed(text) : text.split(',').map((name) => name.trim());
  const isList =
    Array.isArray(names) &&
    names.every((name) => typeof name === 'string' && name !== '' && isStorable(name));
  if (!isList || names.length === 0 || new Set(names).size !== names.length) return null;
  return names as string[];
}

function contextOf(header: Buffer): Readonly<Record<string, string>> | null {
  if (header.length > MAX_CONTEXT_BYTES) return null;
  const context = parsed(header.toString());
  if (typeof context !== 'object' || context === null || Array.isArray(context)) return null;
  const isOfTexts = Object.entries(context).every(
    ([name, value]) =>
      isStorable(name) && !name.startsWith(RESERVED_PREFIX) && typeof value === 'string' && isStorable(value),
  );
  return isOfTexts ? (context as Record<string, string>) : null;
}

/** PostgreSQL holds neither NUL nor a lone surrogate; U+FFFD is what bytes become that are not UTF-8. */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !/[\0\ufffd]/.test(text);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
