import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PortChooser } from '#local/free-ports.js';
import { THROW_AWAY_SETTINGS, planPostgres } from '#local/postgres/postgres-server.js';
import { RunFolder } from './run-folder.js';
import { SELF_SIGNED } from './self-signed.js';

export interface SecuredPostgres {
  /** Of the database `sluice`, without TLS, by which the server lets no one in; holds the password. */
  readonly url: string;
  stop(): Promise<void>;
}

/** A server that shows SELF_SIGNED and takes connections to the database `sluice` over TLS alone. @param hba its logins, line by line */
export async function startSecuredPostgres(hba: readonly string[]): Promise<SecuredPostgres> {
  const run = new RunFolder('postgres-tls');
  const chooser = new PortChooser({ reserves: true });
  const stop = async (): Promise<void> => {
    await run.remove();
    chooser.release();
  };
  try {
    const plan = await planPostgres({
      folder: join(run.path, 'postgres'),
      logFile: join(run.path, 'postgres.log'),
      port: await chooser.choose(),
      settings: {
        ...THROW_AWAY_SETTINGS,
        ...{ ssl: 'on', ssl_cert_file: 'server.pem', ssl_key_file: 'server.key', ssl_ca_file: 'server.pem' },
      },
    });
    if (plan.home.movedTo !== null) run.alsoRemove(plan.home.movedTo);
    // The probe of its start asks the database `postgres`.
    const probe = 'host postgres sluice all scram-sha-256';
    const files = {
      'server.pem': SELF_SIGNED.cert,
      'server.key': SELF_SIGNED.key,
      'pg_hba.conf': [...hba, probe].join('\n'),
    };
    for (const [name, text] of Object.entries(files)) {
      const path = join(plan.cwd, name);
      writeFileSync(path, `${text}\n`, { mode: 0o600 });
      if (plan.home.user !== undefined) chownSync(path, plan.home.user.uid, plan.home.user.gid);
    }
    await run.start(plan);
    return { url: plan.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
