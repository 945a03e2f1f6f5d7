import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type AddressPolicy, type ResolveName, classifyAddress, guardedConnector } from './address-guard.js';

describe('classifyAddress', () => {
  it.each([
    '169.254.169.254',
    '169.254.170.2',
    'fe80::1',
    'fe80::1%eth0',
    'fd00:ec2::254',
    'fd20:ce::254',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '0.0.0.0',
    '0.1.2.3',
    '::',
    '224.0.0.1',
    'ff02::1',
    '255.255.255.255',
    '240.0.0.1',
    '100::1',
    '2001:db8::1',
    '2001::1',
    '64:ff9b:1::1',
    'not an address',
    '',
    // 169.254.169.254 in other clothes (AG3)
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '169.254.43518',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '::ffff:0:169.254.169.254',
    '64:ff9b::169.254.169.254',
    '2002:a9fe:a9fe::1',
  ])('forbids %j', (address) => {
    expect(classifyAddress(address)).toBe('forbidden');
  });

  it.each([
    '127.0.0.1',
    '127.255.0.1',
    '::1',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    'fd12::1',
    'fec0::1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::192.168.0.1',
    '2002:0a00:0001::',
    '2130706433',
  ])('takes %s as private', (address) => {
    expect(classifyAddress(address)).toBe('private');
  });

  it.each(['1.1.1.1', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8'])(
    'takes %s as public',
    (address) => {
      expect(classifyAddress(address)).toBe('public');
    },
  );
});

describe('guardedConnector', () => {
  let server: Server;
  let accepted = 0;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    accepted = 0;
    server = createServer((socket) => {
      accepted++;
      sockets.push(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  function connect(
    hostname: string,
    policy: AddressPolicy,
    resolveName?: ResolveName,
  ): Promise<string | undefined> {
    const port = String((server.address() as AddressInfo).port);
    const connector = guardedConnector(policy, 5000, resolveName ? { resolveName } : {});
    return new Promise((resolve, reject) => {
      connector({ hostname, host: hostname, protocol: 'http:', port }, (...result) => {
        if (result[0] !== null) {
          reject(result[0]);
          return;
        }
        sockets.push(result[1]);
        resolve(result[1].remoteAddress);
      });
    });
  }

  const refused = expect.objectContaining({ code: 'SOURCE_NOT_ALLOWED' });
  const resolvesTo =
    (...addresses: string[]): ResolveName =>
    (_name, done) => {
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
    };

  it.each(['127.0.0.1', 'localhost'])('lets %s pass when private addresses are allowed', async (host) => {
    await expect(connect(host, 'allow')).resolves.toMatch(/127\.0\.0\.1|::1/);
  });

  it.each(['127.0.0.1', 'localhost'])('refuses %s when they are denied, and says why', async (host) => {
    for (const [policy, reason] of [
      ['deny', /private, loopback/],
      ['needs-token', /callers with the token/],
      ['from-public', /public address redirects/],
    ] as const) {
      await expect(connect(host, policy)).rejects.toMatchObject({
        code: 'SOURCE_NOT_ALLOWED',
        message: expect.stringMatching(reason),
      });
    }
    expect(accepted).toBe(0);
  });

  it.each(['169.254.169.254', '[fe80::1]', '[::ffff:a9fe:a9fe]', '0.0.0.0'])(
    'refuses the literal %s',
    async (host) => {
      await expect(connect(host, 'allow')).rejects.toEqual(refused);
    },
  );

  it.each(['metadata.google.internal', 'METADATA.google.internal.', 'metadata'])(
    'refuses the name %s without resolving it',
    async (host) => {
      await expect(connect(host, 'allow', resolvesTo('127.0.0.1'))).rejects.toEqual(refused);
    },
  );

  it('judges what a name resolves to, each time (AG1)', async () => {
    const answers = [['127.0.0.1'], ['169.254.169.254'], ['fd00:ec2::254']];
    const rebinding: ResolveName = (name, done) => {
      resolvesTo(...(answers.shift() ?? []))(name, done);
    };
    await expect(connect('rebinding.example', 'allow', rebinding)).resolves.toBe('127.0.0.1');
    await expect(connect('rebinding.example', 'allow', rebinding)).rejects.toEqual(refused);
    await expect(connect('rebinding.example', 'allow', rebinding)).rejects.toEqual(refused);
  });

  it('uses the harmless addresses of a name that has harmful ones too', async () => {
    const mixed = resolvesTo('169.254.169.254', '127.0.0.1');
    await expect(connect('mixed.example', 'allow', mixed)).resolves.toBe('127.0.0.1');
  });

  it('passes on that a name does not resolve', async () => {
    const failing: ResolveName = (_name, done) => {
      done(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }), []);
    };
    await expect(connect('nowhere.example', 'allow', failing)).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });
});
