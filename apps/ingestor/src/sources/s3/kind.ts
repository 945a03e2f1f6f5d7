import { askAs, isTrusted } from '../caller.js';
import type { SourceKind } from '../source-kind.js';
import { type S3Address, parseS3Address } from './s3-address.js';
import { openObject } from './s3-object.js';
import { S3Config } from './s3.config.js';

/** Objects of an S3-compatible store: identified by ETag, size and, where the bucket has versions, version id; resumed by Range. */
const kind: SourceKind<S3Address> = {
  name: 's3',
  schemes: ['s3'],
  isLocal: false,
  form: 's3://<bucket>/<key>',
  settings: [S3Config],
  parse: parseS3Address,
  ask: askAs,
  open: (address, { settings, own, began, lifetime, onRetry }) =>
    openObject(address, settings.of(S3Config), { isTrusted: isTrusted(own), began, lifetime, onRetry }),
};

export default kind;
