import { isUtf8 } from 'node:buffer';
import { createCipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { IncomingMessage, OutgoingMessage, RawHeaders } from './header-reader.js';

/** The header that holds the seal: an HMAC-SHA-256 in hex. */
const SEAL = 'seal';
/** Keys stay derived for the last few jobs. */
const MAX_KEYS = 64;
/** MS4: no digest is ever shown, so all of them may have the same one. */
const NO_NONCE = Buffer.alloc(12);

/** Of one job: 32 bytes each. */
interface JobKeys {
  readonly seal: Buffer;
  readonly digest: Buffer;
}

/**
 * Proves that a raw or clean message was made by a service of this deployment. PURE.
 *
 * - MS1: the key of a job is derived from the deployment's secret (`SLUICE_MESSAGE_KEY`) and the job's id, so a service
 *   without a database has it as well.
 * - MS2: a seal covers the topic, every other header by name and value, and the value: nothing of a sealed message can be
 *   changed, taken for another topic, or added to it.
 * - MS3: whether a job's messages are sealed is pinned in its row when it begins. Messages without a seal pass here:
 *   it is the loader, who knows the job, that takes none of them for a sealed one.
 * - MS4: the HMAC covers a keyed digest in the value's place, which takes a quarter of the time: the tag of AES-GCM over the
 *   value, with a key of its own. It is a universal hash: without the key no two values with one digest can be found. The
 *   digest never leaves the HMAC, so the rule that a nonce must not come twice, which is for tags that are shown, does not
 *   apply (docs/decisions/0016).
 *
 * It does not distinguish a message from its repeat; that is harmless, for every batch has a natural id.
 */
export class MessageSeal {
  private readonly keys = new Map<string, JobKeys>();

  private constructor(private readonly secret: string) {}

  /** @param secret empty: nothing is sealed and nothing can be checked; the result is null */
  static of(secret: string): MessageSeal | null {
    return secret === '' ? null : new MessageSeal(secret);
  }

  sealed(message: OutgoingMessage): OutgoingMessage {
    const { headers } = message;
    return {
      ...message,
      headers: { ...headers, [SEAL]: this.sealOf(message.topic, headers, message.value) },
    };
  }

  /** @returns false when it has none (MS3). @throws SluiceError MESSAGE_INVALID when it has a wrong one */
  check({ place, headers, value }: IncomingMessage): boolean {
    const found = headers[SEAL];
    if (found === undefined) return false;
    const right = Buffer.from(this.sealOf(place.topic, headers, value ?? Buffer.alloc(0)));
    // A list of seals is not of the right length, either.
    const given = Buffer.from(found.toString());
    if (given.length === right.length && timingSafeEqual(given, right)) return true;
    throw foreign(place, 'its seal is not one of this deployment');
  }

  private sealOf(topic: string, headers: RawHeaders, value: Buffer): string {
    const facts = Object.keys(headers)
      .filter((name) => name !== SEAL)
      .sort()
      .map((name) => {
        const given = headers[name];
        return [name, Array.isArray(given) ? given.map(String) : factOf(given)];
      });
    const keys = this.keysOf(String(headers.job));
    return createHmac('sha256', keys.seal)
      .update(JSON.stringify([topic, facts]))
      .update(digestOf(value, keys.digest))
      .digest('hex');
  }

  private keysOf(job: string): JobKeys {
    const known = this.keys.get(job);
    if (known !== undefined) return known;
    const keyFor = (what: string): Buffer =>
      createHmac('sha256', this.secret).update(`sluice ${what} of job ${job}`).digest();
    const keys = { seal: keyFor('messages'), digest: keyFor('values') };
    const oldest = this.keys.keys().next();
    if (this.keys.size >= MAX_KEYS && !oldest.done) this.keys.delete(oldest.value);
    this.keys.set(job, keys);
    return keys;
  }
}

/** MS2. What is no text is not made one, which would be the same for many bytes. */
function factOf(given: Buffer | string | undefined): string | { readonly base64: string } {
  if (!Buffer.isBuffer(given) || isUtf8(given)) return String(given);
  return { base64: given.toString('base64') };
}

/** MS4. 16 bytes. */
function digestOf(value: Buffer, key: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, NO_NONCE);
  cipher.setAAD(value);
  cipher.final();
  return cipher.getAuthTag();
}

/** Said once by a service that starts so. */
export const UNSEALED = 'SLUICE_MESSAGE_KEY is not set: messages are neither signed nor checked';

/** Whether a message says that it is sealed. */
export function isSealed({ headers }: IncomingMessage): boolean {
  return headers[SEAL] !== undefined;
}

/**
 * For a service that passes on what it is given: true when the message is sealed and right.
 * @throws SluiceError MESSAGE_INVALID when its seal is wrong, or cannot be checked for want of the secret
 */
export function checkedSeal(seal: MessageSeal | null, message: IncomingMessage): boolean {
  if (seal !== null) return seal.check(message);
  if (!isSealed(message)) return false;
  throw foreign(message.place, 'it is sealed, and this service has no SLUICE_MESSAGE_KEY to check that');
}

function foreign({ topic, partition, offset }: IncomingMessage['place'], problem: string): SluiceError {
  return new SluiceError('MESSAGE_INVALID', `Message ${topic}/${partition}/${offset}: ${problem}.`);
}
