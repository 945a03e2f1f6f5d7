import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { IncomingMessage } from '#common/kafka/message.js';
import type { Publisher } from '#common/kafka/transport/publisher.js';
import type { CsvDialect } from '#core/dataset/csv-dialect.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import { type UnannouncedBatch, markAnnounced, refusalsOf } from '#core/ledger/ledger.repository.js';
import { type DeadLetter, encodeDeadLetters } from '#core/message/dead-letter-message.js';
import { type RawMessage, decodeRawMessage } from '#core/message/raw-message.js';
import { lettersOf, lettersWithoutBytes } from './refusal-letters.js';

/** Limits of what is held in memory, as dead letters and as rows of the database (G9). */
const BYTES_AT_ONCE = 1024 * 1024;
const LETTERS_AT_ONCE = 1_000;
const BATCHES_AT_ONCE = 16;
/** Of a dead letter besides its bytes and its texts. */
const LETTER_OVERHEAD_BYTES = 300;

/**
 * Collects dead letters and publishes them together. In a large file nearly every batch holds a record that lost its key to
 * another one: a request and a commit for each batch would be hundreds, while indexes are built. A batch of many refusals
 * is published in pieces, and marked after the last one.
 */
export class RefusalOutbox {
  private letters: DeadLetter[] = [];
  private bytes = 0;
  /** All of their dead letters are published, or are in `letters`. */
  private complete: UnannouncedBatch[] = [];

  /** @param dialectOf how the files of a dataset are written, by its name */
  constructor(
    private readonly pool: pg.Pool,
    private readonly publisher: Publisher,
    private readonly job: string,
    private readonly dialectOf: (dataset: string) => CsvDialect | undefined,
  ) {}

  /** With the bytes that `message` holds, if it is the message that was loaded. */
  async add(batch: UnannouncedBatch, message: IncomingMessage): Promise<void> {
    const raw = rawOf(batch, message);
    await this.addPages(batch, (page) =>
      typeof raw === 'string'
        ? lettersWithoutBytes(batch, page, raw)
        : lettersOf(batch, page, raw, this.dialectOf(raw.dataset)),
    );
  }

  async addWithoutBytes(batch: UnannouncedBatch, why: string): Promise<void> {
    await this.addPages(batch, (page) => lettersWithoutBytes(batch, page, why));
  }

  /** Marks batches once the brokers have acknowledged their dead letters: publishing twice is harmless, losing one is not. */
  async flush(): Promise<void> {
    const { letters, complete } = this;
    this.letters = [];
    this.bytes = 0;
    this.complete = [];
    if (letters.length > 0) await this.publisher.send(encodeDeadLetters(letters));
    if (complete.length > 0) await markAnnounced(this.pool, this.job, complete);
  }

  private async addPages(
    batch: UnannouncedBatch,
    lettersFor: (page: readonly LoadRefusal[]) => Iterable<DeadLetter>,
  ): Promise<void> {
    if (batch.refusals !== null) await this.addAll(lettersFor(batch.refusals));
    else {
      for (let from = 0; from < batch.refusalCount; from += LETTERS_AT_ONCE) {
        const to = Math.min(from + LETTERS_AT_ONCE, batch.refusalCount);
        await this.addAll(lettersFor(await refusalsOf(this.pool, batch, from, to)));
      }
    }
    this.complete.push(batch);
    if (this.complete.length >= BATCHES_AT_ONCE) await this.flush();
  }

  private async addAll(letters: Iterable<DeadLetter>): Promise<void> {
    for (const letter of letters) {
      // Copied: a view would keep all that was fetched with it in memory.
      this.letters.push({ ...letter, bytes: Buffer.from(letter.bytes) });
      this.bytes += sizeOf(letter);
      if (this.letters.length >= LETTERS_AT_ONCE || this.bytes >= BYTES_AT_ONCE) await this.flush();
    }
  }
}

function sizeOf({ bytes, findings, message: facts }: DeadLetter): number {
  const ofMessage = facts === undefined ? 0 : JSON.stringify(facts).length;
  return findings.reduce(
    (sum, { message }) => sum + message.length,
    bytes.length + ofMessage + LETTER_OVERHEAD_BYTES,
  );
}

/** A topic that was deleted and created again has other messages at the same places: only what was loaded is quoted. */
function rawOf(batch: UnannouncedBatch, message: IncomingMessage): RawMessage | string {
  try {
    const raw = decodeRawMessage(message);
    const isSame = raw.job === batch.job && raw.batch.batch === batch.batch && raw.crc32c === batch.crc32c;
    return isSame ? raw : 'another message has its place';
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'MESSAGE_INVALID') return 'it cannot be read';
    throw error;
  }
}
