import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { KAFKA_VERSION, checkJars, parseChecksums } from './kafka-jars.js';

const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');

describe('KJ2: the committed list', () => {
  it('names the broker that pom.xml and the documents name', () => {
    const listed = parseChecksums(readFileSync(join(import.meta.dirname, 'jars.sha256'), 'utf8'));
    const pom = readFileSync(join(import.meta.dirname, 'pom.xml'), 'utf8');
    expect([...listed.keys()]).toContain(`kafka_2.13-${KAFKA_VERSION}.jar`);
    expect(pom).toContain(`<version>${KAFKA_VERSION}</version>`);
  });

  it('is refused when a line is no checksum', () => {
    expect(() => parseChecksums(`${'0'.repeat(63)}  short.jar\n`)).toThrow(/no checksum/);
  });
});

describe('KJ1: fetched jars', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-jars-'));
    writeFileSync(join(folder, 'a.jar'), 'a');
    writeFileSync(join(folder, 'b.jar'), 'b');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const listed = new Map([
    ['a.jar', sha256('a')],
    ['b.jar', sha256('b')],
  ]);

  it('pass when they are exactly the listed ones', async () => {
    await expect(checkJars(folder, listed)).resolves.toBeUndefined();
  });

  it('are refused when one has another content', async () => {
    writeFileSync(join(folder, 'b.jar'), 'B');
    await expect(checkJars(folder, listed)).rejects.toThrow(/b\.jar has another content/);
  });

  it('are refused when one is missing', async () => {
    rmSync(join(folder, 'a.jar'));
    await expect(checkJars(folder, listed)).rejects.toThrow(/a\.jar is missing/);
  });

  it('are refused when there is one more', async () => {
    writeFileSync(join(folder, 'c.jar'), 'c');
    await expect(checkJars(folder, listed)).rejects.toThrow(/c\.jar is not listed/);
  });
});
