import { SluiceError } from '#common/errors/sluice-error.js';

export function unknownReplay(id: string): SluiceError {
  return new SluiceError('REPLAY_UNKNOWN', `No replay has the id ${id}.`);
}
