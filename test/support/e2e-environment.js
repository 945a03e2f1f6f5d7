/** The environment of all tests, which shows the logs of the running systems (system.ts) when a test fails. */
import PlainEnvironment from './plain-environment.js';

export default class E2eEnvironment extends PlainEnvironment {
  async setup() {
    // Whatever system the person who runs the tests has chosen by `sluice use`.
    process.env.SLUICE_CONTEXT = 'local';
    await super.setup();
  }

  async handleTestEvent(event) {
    if (event.name !== 'test_fn_failure' && event.name !== 'hook_failure') return;
    const title = event.test?.name ?? `a ${event.hook.type} hook`;
    for (const system of this.global.sluiceSystems ?? []) {
      process.stderr.write(`\nLogs of the system in which "${title}" failed:\n${system.describe()}\n`);
    }
  }
}
