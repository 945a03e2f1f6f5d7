import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';

/**
 * Writes a file of refused records, which are data: only the user who exports them can read it (0600). It is written beside the
 * wanted file and renamed when it is whole: half an export is never opened, and an older file stays until then.
 * @param work writes the contents, in pieces
 * @returns what `work` returns
 * @throws SluiceError OUTPUT_UNWRITABLE; what `work` throws, with nothing left behind
 */
export async function writeWholeFile<T>(
  path: string,
  work: (put: (piece: string | Uint8Array) => Promise<void>) => Promise<T>,
): Promise<T> {
  const partial = `${path}.${randomUUID()}.partial`;
  const file = await open(partial, 'wx', 0o600).catch(unwritable(path));
  try {
    const result = await work((piece) => file.writeFile(piece).catch(unwritable(path)));
    await file.sync();
    await file.close();
    await rename(partial, path).catch(unwritable(path));
    return result;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

function unwritable(path: string): (cause: unknown) => never {
  return (cause) => {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SluiceError(
      'OUTPUT_UNWRITABLE',
      `${path} cannot be written (${code ?? messageOf(cause)}).`,
      {},
      { cause },
    );
  };
}
