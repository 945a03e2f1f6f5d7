import { fstatSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { SourceHarness } from '../source-harness.js';

type Read = (this: FileHandle, ...args: unknown[]) => Promise<{ bytesRead: number }>;

/** A file in a folder of its own. What is read is counted by FileHandle itself: a file has no other side. */
const harness: SourceHarness = {
  skips: true,

  async start(content) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-file-kind-'));
    const path = join(folder, 'data.csv');
    writeFileSync(path, content);
    const { ino, dev } = statSync(path);
    const reads = await countReads(path);
    let version = 0;
    return {
      uri: `${pathToFileURL(path).href}?key=canary-query#canary-hash`,
      secrets: ['canary-query', 'canary-hash'],
      replace: (other) => {
        writeFileSync(path, other);
        utimesSync(path, ++version, version);
        return Promise.resolve();
      },
      remove: () => {
        rmSync(path);
        return Promise.resolve();
      },
      pulledBytes: reads.bytes,
      openHandles: () => Promise.resolve(descriptorsOf(ino, dev)),
      stop: () => {
        reads.stop();
        rmSync(folder, { recursive: true });
        return Promise.resolve();
      },
    };
  },
};

export default harness;

async function countReads(path: string): Promise<{ bytes: () => number; stop: () => void }> {
  const handle = await open(path);
  const prototype = Object.getPrototypeOf(handle) as { read: Read };
  await handle.close();
  const { read } = prototype;
  let bytes = 0;
  prototype.read = async function (...args) {
    const result = await read.apply(this, args);
    bytes += result.bytesRead;
    return result;
  };
  const stop = (): void => {
    prototype.read = read;
  };
  return { bytes: () => bytes, stop };
}

/** How often this process has a file open. */
function descriptorsOf(inode: number, device: number): number {
  return readdirSync('/dev/fd').filter((descriptor) => {
    try {
      const { ino, dev } = fstatSync(Number(descriptor));
      return ino === inode && dev === device;
    } catch {
      return false; // The descriptor of the listing itself.
    }
  }).length;
}
