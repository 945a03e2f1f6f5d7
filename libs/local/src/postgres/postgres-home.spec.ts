import { describe, expect, it } from '@jest/globals';
import { platformProblem } from './postgres-binaries.js';
import { closedFolder, fallbackFolder } from './postgres-home.js';

describe('folders that a user cannot enter', () => {
  const user = { uid: 100, gid: 200 };
  const tree: Record<string, { uid: number; gid: number; mode: number }> = {
    '/': { uid: 0, gid: 0, mode: 0o755 },
    '/root': { uid: 0, gid: 0, mode: 0o700 },
    '/root/open': { uid: 0, gid: 0, mode: 0o755 },
    '/own': { uid: 100, gid: 0, mode: 0o700 },
    '/own-but-closed': { uid: 100, gid: 200, mode: 0o077 },
    '/group': { uid: 0, gid: 200, mode: 0o710 },
    '/others-only': { uid: 0, gid: 200, mode: 0o701 },
    '/passage': { uid: 0, gid: 0, mode: 0o711 },
  };
  const statOf = (path: string): { uid: number; gid: number; mode: number } => tree[path]!;

  it.each([
    ['/passage', null],
    ['/own', null],
    ['/group', null],
    ['/root', '/root'],
    ['/root/open', '/root'],
    ['/own-but-closed', '/own-but-closed'],
    ['/others-only', '/others-only'],
  ])('%s → %s', (path, closed) => {
    expect(closedFolder(path, user, statOf)).toBe(closed);
  });
});

describe('the place outside of an unreachable checkout', () => {
  it('is the same for the same checkout, another for another', () => {
    expect(fallbackFolder('/root/a/.sluice/postgres')).toBe(fallbackFolder('/root/a/.sluice/postgres'));
    expect(fallbackFolder('/root/a/.sluice/postgres')).not.toBe(fallbackFolder('/root/b/.sluice/postgres'));
    expect(fallbackFolder('/root/a/.sluice/postgres')).toMatch(/^\/var\/tmp\/sluice-[0-9a-f]{16}$/);
  });
});

describe('platforms', () => {
  it.each([
    ['linux', 'x64', true, null],
    ['linux', 'arm64', true, null],
    ['darwin', 'arm64', false, null],
    ['win32', 'x64', false, /Windows is not supported/],
    ['linux', 'x64', false, /glibc/],
    ['linux', 's390x', true, /no PostgreSQL for linux-s390x/],
  ])('%s %s (glibc: %s)', (platform, arch, glibc, problem) => {
    if (problem === null) expect(platformProblem(platform, arch, glibc)).toBeNull();
    else expect(platformProblem(platform, arch, glibc)).toMatch(problem);
  });
});
