import 'reflect-metadata';
import { loadSettings } from '#common/config/environment.js';
import { createLogger } from '#common/telemetry/logger.js';
import { LocalFolder, checkoutFolder } from './folders.js';
import { LocalConfig } from './local.config.js';
import { servicesOf } from './services.js';
import { Supervisor, migrateCommand } from './supervisor.js';

/** The process that `sluice up` leaves behind. Arguments: run id, folder. SIGTERM drains and ends the system. */
const [run = '', folder = ''] = process.argv.slice(2);
const logger = createLogger('supervisor', 'info');
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    stop.abort();
  });
}
// The terminal that it was started from may close.
process.on('SIGHUP', () => undefined);

try {
  const config = loadSettings(LocalConfig);
  const checkout = checkoutFolder();
  const supervisor = new Supervisor({
    folder: new LocalFolder(folder),
    checkout,
    config,
    services: servicesOf(config, checkout),
    migrate: migrateCommand(checkout),
    run,
    logger,
  });
  await supervisor.run(stop.signal);
} catch (error) {
  logger.fatal({ err: error }, 'ended');
  process.exitCode = 1;
}
