import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Registry } from 'prom-client';
import type { ConnectionConfig } from '../config/connection.config.js';
import { gauge } from './metrics.js';

/** Of a bundle every one. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** When the certificates of the settings expire, as they are at the scrape; of a bundle, the first one. */
export function watchCertificates(registry: Registry, config: ConnectionConfig): void {
  gauge(registry, 'sluice_certificate_expiry_timestamp_seconds', (expiry) => {
    expiry.reset();
    for (const [use, pem] of Object.entries(certificatesOf(config))) {
      const seconds = expiryOf(pem);
      if (seconds !== null) expiry.set({ use }, seconds);
    }
  });
}

function certificatesOf(config: ConnectionConfig): Readonly<Record<string, string>> {
  return {
    http: config.tlsCertificate,
    kafka_client: config.kafkaTlsCertificate,
    kafka_authority: config.kafkaTlsCa,
    postgres_client: fileIn(config.databaseUrl, 'sslcert'),
    postgres_authority: fileIn(config.databaseUrl, 'sslrootcert'),
  };
}

function fileIn(databaseUrl: string, parameter: string): string {
  try {
    const file = new URL(databaseUrl).searchParams.get(parameter);
    return file === null ? '' : readFileSync(file, 'utf8');
  } catch {
    // The connection that needs the file reports it.
    return '';
  }
}

/** @returns seconds since 1970; null without a certificate that can be read */
export function expiryOf(pem: string): number | null {
  const times = [...pem.matchAll(CERTIFICATE)].flatMap(([text]) => {
    try {
      return [Date.parse(new X509Certificate(text).validTo) / 1000];
    } catch {
      return [];
    }
  });
  return times.length === 0 ? null : Math.min(...times);
}
