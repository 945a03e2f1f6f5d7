import type { Finding } from '#core/finding/finding.js';

/** A finding's words with the field they are about, which most messages name themselves. PURE. */
export function reasonText({ field, message }: Finding): string {
  return field === null || message.includes(field) ? message : `${field}: ${message}`;
}
