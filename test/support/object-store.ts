import { join } from 'node:path';
import { PortChooser } from '#local/free-ports.js';
import { motoFolder } from './foreign-clients.js';
import { RunFolder } from './run-folder.js';

/** An object store that others have written (moto), in a process of its own. It begins empty, and lets everything be done by anyone. */
export interface ObjectStore {
  /** URL. */
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** @returns null: the store cannot be had, and the tests that need it are left out */
export async function startObjectStore(): Promise<ObjectStore | null> {
  const packages = await motoFolder();
  if (packages === null) return null;
  const run = new RunFolder('object-store');
  const chooser = new PortChooser({ reserves: true });
  const stop = async (): Promise<void> => {
    await run.remove();
    chooser.release();
  };
  try {
    const port = await chooser.choose();
    const endpoint = `http://127.0.0.1:${port}`;
    await run.start({
      name: 'object-store',
      command: 'python3',
      args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)],
      cwd: run.path,
      env: { ...process.env, PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1' },
      port,
      logFile: join(run.path, 'object-store.log'),
      probe: async () => {
        const { status } = await fetch(`${endpoint}/moto-api/data.json`);
        if (status !== 200) throw new Error(`it answers with status ${status}`);
      },
      stopSteps: [{ signal: 'SIGTERM', waitMs: 5_000 }],
    });
    return { endpoint, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
