import type { OwnPart } from '#core/source/own-part.js';

/** Who asks for a source. */
export interface Caller {
  /** Proved to be on this machine: may read any file that the ingestor can, and private addresses. */
  readonly isTrusted: boolean;
}

/** The own part of kinds that keep nothing but whether their caller is trusted: their `ask`. */
export function askAs(_address: unknown, { isTrusted }: Caller): OwnPart {
  return { trustedCaller: isTrusted };
}

/** Whether a request was made by a trusted caller; anything that `askAs` does not make is not. */
export function isTrusted({ trustedCaller }: OwnPart): boolean {
  return trustedCaller === true;
}
