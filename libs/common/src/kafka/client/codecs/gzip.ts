import { promisify } from 'node:util';
import { isNativeError } from 'node:util/types';
import { gunzip as gunzipWithCallback } from 'node:zlib';
import { assertWithin } from './bounded.js';

const unzip = promisify(gunzipWithCallback);

/** @throws Error when it is none, is cut off, or unpacks to more than `maxBytes` */
export async function gunzip(bytes: Buffer, maxBytes: number): Promise<Buffer> {
  try {
    return await unzip(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if (isTooLarge(error)) assertWithin(Infinity, maxBytes);
    throw error;
  }
}

function isTooLarge(error: unknown): boolean {
  return isNativeError(error) && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}
