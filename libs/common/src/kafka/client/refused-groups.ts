/**
 * Makes kafkajs report a refused request for the coordinator of a consumer group.
 *
 * kafkajs asks one broker after the other and drops the response of each, so a principal without a right on the group
 * gets "Failed to find group coordinator": the words of an outage, without the missing right. Here a refusal by ACL is
 * kept and thrown when no broker has answered differently. `kafka-login.medium-spec.ts` proves it.
 *
 * The hook: one method of kafkajs's `BrokerPool`.
 */
import { createRequire } from 'node:module';
import { kafkaErrorName } from './kafka-errors.js';

type Ask = (asked: object) => Promise<unknown>;

/** kafkajs's brokers of one client, with what is added here. */
interface BrokerPoolPrototype {
  isSluices?: true;
  withBroker(ask: Ask): Promise<unknown>;
}

/** Installs the hook in this process's kafkajs; once, before the first connection. */
export function installRefusedGroups(): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/cluster/brokerPool.js') as {
    prototype: BrokerPoolPrototype;
  };
  if (prototype.isSluices) return;
  prototype.isSluices = true;
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with the pool below
  const { withBroker } = prototype;
  prototype.withBroker = async function ask(this: BrokerPoolPrototype, question: Ask): Promise<unknown> {
    const refusals: Error[] = [];
    const answer = await withBroker.call(this, async (asked) => {
      try {
        return await question(asked);
      } catch (error) {
        if (error instanceof Error && kafkaErrorName(error)?.endsWith('_AUTHORIZATION_FAILED') === true)
          refusals.push(error);
        throw error;
      }
    });
    const [refusal] = refusals;
    if (answer === null && refusal !== undefined) throw refusal;
    return answer;
  };
}
