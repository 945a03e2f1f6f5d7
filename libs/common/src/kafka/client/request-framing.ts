/**
 * Lets kafkajs put its frame around a large body that is written only once, into the bytes that go to the socket.
 *
 * kafkajs frames a request by copying its body into an encoder with the request's header, and that into another one
 * with the length: twice half a megabyte, each time into a zeroed buffer of the next power of two. Here an encoder that
 * is given a {@link LargeBody} keeps it behind its own bytes, and writes it when the request's bytes are asked for.
 * `produce-request.spec.ts` proves the same bytes as kafkajs's own framing.
 *
 * The hook: three members of kafkajs's `Encoder`, which do what they did for everything that has no large body.
 */
import { createRequire } from 'node:module';

/** What a request consists of behind kafkajs's header. */
export interface LargeBody {
  readonly isLargeBody: true;
  readonly length: number;
  /** Writes `length` bytes from `offset` on. */
  writeTo(target: Buffer, offset: number): void;
}

/** kafkajs's, with what is added here. */
interface Encoder {
  readonly buf: Buffer;
  readonly offset: number;
  /** Stands behind the encoder's own bytes; nothing is written after it. */
  body?: LargeBody;
  /** Own bytes and body, once they have been asked for. */
  whole?: Buffer;
  writeEncoder(value: Encoder | LargeBody): this;
  writeBuffer(bytes: Buffer): this;
  size(): number;
}

interface EncoderPrototype extends Encoder {
  isSluices?: true;
}

/** Installs the hook in this process's kafkajs; once, before the first request. */
export function installRequestFraming(): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/protocol/encoder.js') as {
    prototype: EncoderPrototype;
  };
  if (prototype.isSluices) return;
  const plain = Object.getOwnPropertyDescriptors(prototype) as unknown as PlainMembers;
  Object.defineProperties(prototype, {
    isSluices: { value: true },
    writeEncoder: {
      value(this: Encoder, value: Encoder | LargeBody): Encoder {
        const body = 'isLargeBody' in value ? value : value.body;
        if (body === undefined) return plain.writeEncoder.value.call(this, value);
        if (body !== value) this.writeBuffer(ownBytes(value as Encoder));
        this.body = body;
        return this;
      },
    },
    size: {
      value(this: Encoder): number {
        return plain.size.value.call(this) + (this.body?.length ?? 0);
      },
    },
    buffer: {
      get(this: Encoder): Buffer {
        if (this.body === undefined) return plain.buffer.get.call(this);
        return (this.whole ??= join(ownBytes(this), this.body));
      },
    },
  });
}

interface PlainMembers {
  readonly writeEncoder: { readonly value: (this: Encoder, value: Encoder | LargeBody) => Encoder };
  readonly size: { readonly value: (this: Encoder) => number };
  readonly buffer: { readonly get: (this: Encoder) => Buffer };
}

function ownBytes({ buf, offset }: Encoder): Buffer {
  return buf.subarray(0, offset);
}

function join(head: Buffer, body: LargeBody): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  head.copy(bytes);
  body.writeTo(bytes, head.length);
  return bytes;
}
