import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

/**
 * Asks on a terminal and waits for one line. Ctrl-C (`signal`) and the end of input answer with
 * nothing, so that only "yes" changes anything.
 */
export async function ask(
  question: string,
  terminal: { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream },
  signal: AbortSignal,
): Promise<string> {
  // The terminal itself edits the line; readline only waits for its end.
  const prompt = createInterface({ ...terminal, terminal: false });
  const ended = new Promise<string>((resolve) =>
    prompt.once('close', () => {
      resolve('');
    }),
  );
  const answered = prompt.question(question, { signal }).catch(() => '');
  try {
    return (await Promise.race([answered, ended])).trim();
  } finally {
    prompt.close();
  }
}

/** As {@link ask}, and what is typed is not shown. */
export async function askSecretly(
  question: string,
  terminal: { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream },
  signal: AbortSignal,
): Promise<string> {
  terminal.output.write(question);
  const nowhere = new Writable({
    write(_chunk, _encoding, done) {
      done();
    },
  });
  // readline itself edits the line, so that the terminal does not show it.
  const prompt = createInterface({ input: terminal.input, output: nowhere, terminal: true });
  const ended = new Promise<string>((resolve) =>
    prompt.once('close', () => {
      resolve('');
    }),
  );
  const answered = prompt.question('', { signal }).catch(() => '');
  try {
    return (await Promise.race([answered, ended])).trim();
  } finally {
    prompt.close();
    terminal.output.write('\n');
  }
}
