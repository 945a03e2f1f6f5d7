/** How much of a record's text a list shows. PURE. */
export const LIST_TEXT_CHARACTERS = 1000;

/** N × 4 bytes always hold N characters, however they decode: a character takes four bytes at most. */
export const LIST_TEXT_BYTES = LIST_TEXT_CHARACTERS * 4;

/** @param bytes at least the first LIST_TEXT_BYTES of the record, or all of it */
export function cutText(bytes: Buffer): string {
  return Array.from(bytes.subarray(0, LIST_TEXT_BYTES).toString()).slice(0, LIST_TEXT_CHARACTERS).join('');
}
