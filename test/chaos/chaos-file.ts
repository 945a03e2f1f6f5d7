import { gzipSync } from 'node:zlib';
import { generate } from '#datasets/tax-registration/generator.js';
import { judgeFile } from '../support/oracle.js';
import { validBan } from '../support/small-file.js';
import { DEFECT_SHARE, type FilePlan, KEY_POOL, REPEAT_SHARE } from './chaos-plan.js';

/**
 * The source file of a round: a generated one, whose business numbers are exchanged for those of a pool, so that the
 * files of all rounds overlap. Numbers that came again still do.
 */
export function chaosFile({ rows, contentSeed, firstKey }: FilePlan): Buffer {
  const generated = Buffer.concat([
    ...generate({ rows, seed: contentSeed, defectShare: DEFECT_SHARE, repeatShare: REPEAT_SHARE }),
  ]);
  // One character a byte: what is no UTF-8 stays as it is.
  const lines = generated.toString('latin1').split('\n');
  const keys = new Map<string, string>();
  for (const outcome of judgeFile(generated, { repeats: 'accepted' })) {
    if (outcome.is !== 'loaded') continue;
    const { ban } = outcome.business;
    const key = keys.get(ban) ?? validBan((firstKey + keys.size) % KEY_POOL);
    keys.set(ban, key);
    const index = outcome.line - 1;
    lines[index] = lines[index]?.replace(ban, key) ?? '';
  }
  return Buffer.from(lines.join('\n'), 'latin1');
}

/** As it lies on the server or the disk. */
export function packed(file: Buffer, source: string): Buffer {
  return source.endsWith('gzip') ? gzipSync(file) : file;
}
