/** Node's test environment, which shows the logs of the running systems (system.ts) when a test fails. */
import { TestEnvironment } from 'jest-environment-node';

export default class E2eEnvironment extends TestEnvironment {
  async handleTestEvent(event) {
    if (event.name !== 'test_fn_failure' && event.name !== 'hook_failure') return;
    const title = event.test?.name ?? `a ${event.hook.type} hook`;
    for (const system of this.global.sluiceSystems ?? []) {
      process.stderr.write(`\nLogs of the system in which "${title}" failed:\n${system.describe()}\n`);
    }
  }
}
