import type { Logger } from 'pino';
import type { Leftovers } from './leftovers.js';

/** Cleans up after jobs that have ended: their counts, their right to be resumed, their staging tables and ledger rows. */
export class CleanUp {
  /** @param onCounted the counts of unsuccessful jobs were written: their ends can be announced */
  constructor(
    private readonly leftovers: Leftovers,
    private readonly logger: Logger,
    private readonly onCounted: () => void,
  ) {}

  async run(): Promise<void> {
    // Before announcing: who learns of the end finds the counts.
    if (await this.leftovers.countUnsuccessful()) this.onCounted();
    for (const job of await this.leftovers.giveUp()) {
      this.logger.info(
        { job },
        'cannot be resumed any more: it was kept long enough, or a newer job succeeded',
      );
    }
    for (const job of await this.leftovers.clear()) {
      this.logger.info({ job }, 'dropped the staging tables of a finished job');
    }
  }
}
