import type { ByteSource } from '../../apps/ingestor/src/sources/byte-source.js';
import { deliversBatches, deliversMessages } from '../../apps/ingestor/src/sources/message-source.js';
import { openSource } from '../../apps/ingestor/src/sources/open-source.js';

/** As `openSource`, for sources of kinds that deliver bytes. */
export async function openBytes(...given: Parameters<typeof openSource>): Promise<ByteSource> {
  const source = await openSource(...given);
  if (!deliversMessages(source) && !deliversBatches(source)) return source;
  await source.close();
  throw new TypeError('This source delivers no bytes.');
}
