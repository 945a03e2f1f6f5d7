import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { SELF_SIGNED, SELF_SIGNED_NEXT } from '#test/support/self-signed.js';
import { ConnectionConfig } from '../config/connection.config.js';
import { loadSettings } from '../config/environment.js';
import { expiryOf, watchCertificates } from './certificate-expiry.js';

describe('when certificates expire', () => {
  it('is shown by use, with what stands in the files now', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'certificates-'));
    const [own, key, authority] = ['own.pem', 'own.key', 'authority.pem'].map((name) => join(folder, name));
    if (own === undefined || key === undefined || authority === undefined) throw new RangeError();
    writeFileSync(own, SELF_SIGNED.cert);
    writeFileSync(key, SELF_SIGNED.key);
    writeFileSync(authority, `${SELF_SIGNED_NEXT.cert}\n${SELF_SIGNED.cert}\n`);
    const registry = new Registry();
    watchCertificates(
      registry,
      loadSettings(ConnectionConfig, {
        SLUICE_TLS_CERTIFICATE_FILE: own,
        SLUICE_TLS_KEY_FILE: key,
        DATABASE_URL: `postgres://u@host/db?sslmode=verify-full&sslrootcert=${authority}&sslcert=/no/such/file`,
      }),
    );
    const [one, next] = [expiryOf(SELF_SIGNED.cert), expiryOf(SELF_SIGNED_NEXT.cert)];
    const lines = async (): Promise<string[]> =>
      (await registry.metrics()).split('\n').filter((line) => line.startsWith('sluice_'));
    const name = 'sluice_certificate_expiry_timestamp_seconds';
    expect(await lines()).toEqual([
      `${name}{use="http"} ${one ?? ''}`,
      `${name}{use="postgres_authority"} ${Math.min(one ?? 0, next ?? 0)}`,
    ]);
    writeFileSync(own, SELF_SIGNED_NEXT.cert);
    expect((await lines())[0]).toBe(`${name}{use="http"} ${next ?? ''}`);
    rmSync(folder, { recursive: true });
  });

  it('is not shown of what is no certificate', () => {
    expect(expiryOf('')).toBeNull();
    expect(expiryOf('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----')).toBeNull();
  });
});
