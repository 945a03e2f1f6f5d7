export interface LinkedAbort {
  /** Aborted, with its reason, by the first of the signals that is. */
  readonly signal: AbortSignal;
  /** The signals know nothing of it any more; to be called when the work is over. */
  readonly unlink: () => void;
}

/**
 * One signal of several, for work that is done again and again under a signal that lives as long as the process.
 * `AbortSignal.any` leaves an entry behind in each of its signals, which Node 20 removes only with the signal itself.
 */
export function linkAborts(...signals: readonly AbortSignal[]): LinkedAbort {
  const linked = new AbortController();
  const unlink = (): void => {
    for (const [signal, listener] of listeners) signal.removeEventListener('abort', listener);
  };
  const listeners = signals.map((signal) => {
    const listener = (): void => {
      linked.abort(signal.reason);
      unlink();
    };
    return [signal, listener] as const;
  });
  const aborted = signals.find((signal) => signal.aborted);
  if (aborted === undefined) {
    for (const [signal, listener] of listeners) signal.addEventListener('abort', listener);
  } else linked.abort(aborted.reason);
  return { signal: linked.signal, unlink };
}
