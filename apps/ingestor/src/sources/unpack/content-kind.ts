/** What the first bytes say a source is; names and media types are not asked. */
export type ContentKind = 'plain' | 'gzip' | 'zip' | 'empty-zip' | UnsupportedPacking;

/** Ways of packing that are recognised only to be refused by name. */
export type UnsupportedPacking = 'bzip2' | 'xz' | 'zstd' | '7z' | 'rar' | 'compress' | 'split zip';

/** How many bytes `contentKindOf` wants to see. */
export const SIGNATURE_BYTES = 6;

const SIGNATURES: readonly (readonly [ContentKind, string])[] = [
  ['gzip', '1f8b08'],
  ['zip', '504b0304'],
  ['empty-zip', '504b0506'],
  ['split zip', '504b0708'],
  ['split zip', '504b3030504b'],
  ['bzip2', '425a6839'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
  ['7z', '377abcaf271c'],
  ['rar', '526172211a07'],
  ['compress', '1f9d90'],
];

/** @param head the first bytes, `SIGNATURE_BYTES` of them unless the source is shorter */
export function contentKindOf(head: Buffer): ContentKind {
  const hex = head.toString('hex');
  return SIGNATURES.find(([, signature]) => hex.startsWith(signature))?.[0] ?? 'plain';
}
