import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CliHarness, LOCAL_STATE, noLocalSystem } from '#test/support/cli/cli-harness.js';
import { SELF_SIGNED } from '#test/support/self-signed.js';

/** A service that takes one token, and lists nothing. @param unknown a route that it does not have */
async function service(
  token: string,
  unknown?: string,
): Promise<{ server: Server; url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const problem = { code: 'UNAUTHENTICATED', title: 'no', status: 401, detail: 'no', action: 'no' };
    const isTaken = request.headers.authorization === `Bearer ${token}`;
    if (request.url === unknown) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ...problem, code: 'REQUEST_INVALID', status: 404 }));
      return;
    }
    const answer = request.url?.includes('limit=') === true ? { items: [], next: null } : [];
    response.writeHead(isTaken ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isTaken ? answer : problem));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('contexts of the command line', () => {
  let folder: string;
  let file: string;
  let cli: CliHarness;
  let one: Awaited<ReturnType<typeof service>>;
  let two: Awaited<ReturnType<typeof service>>;

  beforeAll(async () => {
    [one, two] = [await service('first'), await service('second')];
  });

  afterAll(async () => {
    for (const { server } of [one, two]) await new Promise((closed) => server.close(closed));
    await rm(folder, { recursive: true });
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'contexts-'));
    file = join(folder, 'sluice', 'contexts.json');
    for (const { asked } of [one, two]) asked.length = 0;
    start();
  });

  function start(environment: Record<string, string> = {}): CliHarness {
    cli = new CliHarness();
    cli.environment = { XDG_CONFIG_HOME: folder, ...environment };
    return cli;
  }

  /** Both of its services are behind one address. */
  async function login(url: string, token: string, ...options: string[]): Promise<number> {
    start();
    cli.stdin.end(`${token}\n`);
    return cli.run('login', url, ...options);
  }

  it('CX1: a login stores the token for its user alone, and commands go there with it', async () => {
    expect(await login(one.url, 'first', '--name', 'one')).toBe(0);
    expect(one.asked).toEqual(['/streams', '/datasets']);
    expect([statSync(file).mode & 0o777, statSync(join(folder, 'sluice')).mode & 0o777]).toEqual([
      0o600, 0o700,
    ]);
    expect(await start().run('jobs')).toBe(0);
    expect(one.asked).toContainEqual(expect.stringMatching(/^\/jobs\?/));
    expect(await start().run('contexts')).toBe(0);
    expect(cli.stdout.text).toMatch(/^one +yes +http:/m);
    expect(cli.stdout.text).not.toContain('first');
  });

  it('a token that the system does not take is not stored', async () => {
    expect(await login(one.url, 'wrong')).toBe(1);
    expect(cli.stderr.text).toContain('UNAUTHENTICATED');
    expect(() => statSync(file)).toThrow();
  });

  it('each command may name another context, and use chooses for all', async () => {
    await login(one.url, 'first', '--name', 'one');
    await login(two.url, 'second', '--name', 'two');
    const asks = async (environment: Record<string, string>, ...args: string[]): Promise<string> => {
      for (const { asked } of [one, two]) asked.length = 0;
      expect(await start(environment).run(...args)).toBe(0);
      expect(Math.min(one.asked.length, two.asked.length)).toBe(0);
      return one.asked.length > 0 ? 'one' : 'two';
    };
    expect(await asks({}, 'datasets', '--context', 'one')).toBe('one');
    expect(await asks({}, '--context', 'one', 'datasets')).toBe('one');
    expect(await asks({ SLUICE_CONTEXT: 'one' }, 'datasets')).toBe('one');
    expect(await asks({}, 'datasets')).toBe('two');
    await start().run('use', 'one');
    expect(await asks({}, 'datasets')).toBe('one');
    // What the environment names is nearer than what was chosen some time ago, and has a token of its own.
    const environment = { SLUICE_INGESTOR_URL: two.url, SLUICE_TRACKER_URL: two.url, SLUICE_TOKEN: 'second' };
    expect(await asks(environment, 'datasets')).toBe('two');
    expect(await asks({ ...environment, SLUICE_CONTEXT: 'one' }, 'datasets')).toBe('one');
    expect(await start().run('datasets', '--context', 'three')).toBe(2);
    expect(cli.stderr.text).toContain('There is no context "three"');
  });

  it('SLUICE_TOKEN does not go to a context', async () => {
    await login(one.url, 'first', '--name', 'one');
    expect(await start({ SLUICE_TOKEN: 'second' }).run('datasets')).toBe(0);
  });

  it('logout forgets the token', async () => {
    await login(one.url, 'first', '--name', 'one');
    expect(await start().run('logout')).toBe(0);
    expect(readFileSync(file, 'utf8')).not.toContain('first');
    expect(await start().run('logout')).toBe(2);
    expect(await start().run('jobs')).toBe(4);
  });

  it('takes the token of a file, and the tracker beside the ingestor', async () => {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'first\n');
    expect(await start().run('login', one.url, '--tracker', two.url, '--token-file', tokenFile)).toBe(1);
    expect([one.asked, two.asked]).toEqual([['/streams'], ['/datasets']]);
  });

  it.each([
    ['/streams', 'is no ingestor'],
    ['/datasets', 'is no tracker'],
  ])('says that what does not know %s %s, and stores nothing', async (route, text) => {
    const { server, url } = await service('first', route);
    try {
      expect(await login(url, 'first')).toBe(2);
      expect(cli.stderr.text).toContain(text);
      expect(await start().run('use', '127.0.0.1')).toBe(2);
    } finally {
      await new Promise((closed) => server.close(closed));
    }
  });

  it('says of a certificate that cannot be trusted how to trust its authority', async () => {
    const server = createTlsServer({ key: SELF_SIGNED.key, cert: SELF_SIGNED.cert });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      expect(await login(`https://localhost:${port}`, 'first')).toBe(4);
      expect(cli.stderr.text).toContain('--ca-file');
    } finally {
      await new Promise((closed) => server.close(closed));
    }
  });

  it.each([
    ['http://sluice.invalid:3001', 'unencrypted'],
    ['https://user@sluice.invalid', 'must be the http or https address'],
    ['sluice.invalid', 'must be the http or https address'],
  ])('CN2: refuses %s and sends nothing', async (url, text) => {
    expect(await login(url, 'first')).toBe(2);
    expect(cli.stderr.text).toContain(text);
  });

  it('--insecure-http lets it travel by plain HTTP', async () => {
    expect(await login('http://sluice.invalid:3001', 'first', '--insecure-http')).toBe(4);
    expect(cli.stderr.text).toContain('http://sluice.invalid:3001 does not answer');
  });

  it.each([['local'], ['a b'], ['']])('%j names no context', async (name) => {
    expect(await login(one.url, 'first', '--name', name)).toBe(2);
  });

  it('CX1: a file that others may read is not used', async () => {
    await login(one.url, 'first', '--name', 'one');
    chmodSync(file, 0o640);
    expect(await start().run('datasets')).toBe(2);
    expect(cli.stderr.text).toContain('chmod 600');
    expect(one.asked).toHaveLength(2);
  });

  it('a file of another shape is named, and not replaced', async () => {
    await login(one.url, 'first', '--name', 'one');
    writeFileSync(file, '{"current":"gone","contexts":{}}');
    expect(await login(one.url, 'first', '--name', 'one')).toBe(2);
    expect(cli.stderr.text).toContain(file);
    expect(readFileSync(file, 'utf8')).toContain('gone');
  });

  it.each([
    ['up', []],
    ['down', []],
    ['restart', []],
    ['status', []],
    ['doctor', []],
    ['logs', []],
    ['env', []],
    ['demo', []],
    ['migrate', []],
    ['rebuild', []],
    ['token', ['list']],
    ['produce', ['things', 'file.csv']],
    ['dataset', ['recreate', 'things']],
    ['dataset', ['migration', 'things']],
  ])('%s does not work through a context, and says so', async (name, args) => {
    await login(one.url, 'first', '--name', 'one');
    expect(await start({ DATABASE_URL: 'postgres://u@127.0.0.1:1/none' }).run(name, ...args)).toBe(2);
    expect(cli.stderr.text).toMatch(
      new RegExp(`^error: .* works on .*not through the context one: add --context local\\.`),
    );
  });

  it('--context local is the system of the checkout', async () => {
    await login(one.url, 'first', '--name', 'one');
    start().local = { ...noLocalSystem(), state: () => Promise.resolve(LOCAL_STATE) };
    expect(await cli.run('env', '--context', 'local')).toBe(0);
    expect(cli.stdout.text).toContain(LOCAL_STATE.kafkaBrokers);
    expect(await start().run('use', 'local')).toBe(0);
    expect(await start().run('jobs')).toBe(4);
  });

  it('a file for the ingestor of another machine is named as that machine knows it', async () => {
    await login(one.url, 'first', '--name', 'one');
    expect(await start().run('run', 'shops', '--source', 'shops.csv')).toBe(2);
    expect(cli.stderr.text).toContain('an absolute path there');
  });
});
