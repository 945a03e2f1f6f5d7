import { SluiceError } from '#common/errors/sluice-error.js';
import type { SourceAddress } from '../source-kind.js';

/** One object. Its address holds no secrets: credentials come from the SDK's own chain. */
export interface S3Address extends SourceAddress {
  readonly bucket: string;
  /** As it stands behind the bucket: nothing in it is percent-decoded, as in the tools of the stores. */
  readonly key: string;
  /** Null: the newest when the job begins. */
  readonly versionId: string | null;
}

/** docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, for general purpose buckets; other stores take no others. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** In UTF-8, docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html. */
const MAX_KEY_BYTES = 1_024;
const VERSION = '?versionId=';

/** Whether a store takes the text as the name of a bucket. */
export function isBucketName(text: string): boolean {
  return BUCKET.test(text);
}

/**
 * `s3://<bucket>/<key>`, or with `?versionId=<id>` behind it; a `?` or `#` elsewhere belongs to the key.
 * @throws SluiceError SOURCE_UNSUPPORTED
 */
export function parseS3Address(text: string): S3Address {
  const [, bucket = '', rest = ''] = /^s3:\/\/([^/]*)\/?(.*)$/is.exec(text) ?? [];
  // Where userinfo would stand: nothing of it is shown.
  if (bucket.includes('@')) throw unsupported('An s3 address takes no user and password: they come from');
  if (!isBucketName(bucket)) throw refused('names no bucket: 3 to 63 of a-z, 0-9, dots and hyphens');
  const at = rest.lastIndexOf(VERSION);
  const key = at === -1 ? rest : rest.slice(0, at);
  const versionId = at === -1 ? null : rest.slice(at + VERSION.length);
  if (key === '' || key.endsWith('/'))
    throw refused('names no object: a key that is empty, or ends with a slash, is a folder');
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw refused(`has a key of more than ${MAX_KEY_BYTES} bytes`);
  if (/\p{Cc}/u.test(rest)) throw refused('has control characters in its key');
  if (versionId !== null && !/^[\w.-]{1,1024}$/.test(versionId)) throw refused('has no valid version id');
  return { bucket, key, versionId, display: `s3://${bucket}/${rest}` };
}

function refused(what: string): SluiceError {
  return new SluiceError('SOURCE_UNSUPPORTED', `The s3 address ${what}.`);
}

function unsupported(what: string): SluiceError {
  return new SluiceError(
    'SOURCE_UNSUPPORTED',
    `${what} AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the ingestor, a profile, or the role of its machine.`,
  );
}
