import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import kafkajs, { type AclEntry } from 'kafkajs';

/** What docs/operations.md asks an operator to grant, taken from its text: tests run under exactly this. */
const PAGE = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');

/** The dataset that stands in the page's commands. */
const EXAMPLE = 'customers';

/** Whom the page has log in to the brokers: a principal, the password, and the way to log in. */
export interface DocumentedUser {
  readonly name: string;
  readonly mechanism: string;
  readonly password: string;
  /** Arguments of Kafka's `ConfigCommand`, without address and login. */
  readonly args: readonly string[];
}

/** The page's users, in its order. */
export function documentedUsers(): DocumentedUser[] {
  const [, common = ''] = /^user="kafka-configs\.sh .*?admin\.properties (.*)"$/m.exec(PAGE) ?? [];
  const lines = PAGE.matchAll(/^\$user --entity-name (\S+) --add-config '((\S+)=\[password=(\S+)\])'$/gm);
  return [...lines].map(([, name = '', config = '', mechanism = '', password = '']) => ({
    ...{ name, mechanism, password },
    args: [...common.split(' '), '--entity-name', name, '--add-config', config],
  }));
}

const RESOURCE_TYPES = { topic: 'TOPIC', group: 'GROUP', 'transactional-id': 'TRANSACTIONAL_ID' } as const;

/** The page's rights of one principal, for a dataset of another name. */
export function documentedAcls(principal: string, dataset: string): AclEntry[] {
  const lines = [...PAGE.matchAll(/^\$acls --allow-principal User:(\S+) (.*)$/gm)];
  return lines
    .filter(([, name]) => name === principal)
    .flatMap(([, , words = '']) => {
      const operations = [...words.matchAll(/--operation (\S+)/g)].map(([, name = '']) => name);
      const resources = [...words.matchAll(/--(topic|group|transactional-id) (\S+)/g)];
      const pattern = words.includes('--resource-pattern-type prefixed') ? 'PREFIXED' : 'LITERAL';
      return resources.flatMap(([, kind, name = '']) =>
        operations.map((operation) => ({
          principal: `User:${principal}`,
          host: '*',
          permissionType: kafkajs.AclPermissionTypes.ALLOW,
          operation: kafkajs.AclOperationTypes[operation as 'READ'],
          resourceType: kafkajs.AclResourceTypes[RESOURCE_TYPES[kind as keyof typeof RESOURCE_TYPES]],
          resourcePatternType: kafkajs.ResourcePatternTypes[pattern],
          resourceName: name.replace(`.${EXAMPLE}.`, `.${dataset}.`),
        })),
      );
    });
}

/**
 * The page's statements for PostgreSQL: as the DBA before the migration, as the owner of the tables after it, and as the
 * owner of a dataset's own schema.
 */
export function documentedRoles(): [asDba: string, asOwner: string, ownSchema: string] {
  const section = PAGE.slice(PAGE.indexOf('## One role for each service')).split('\n## ')[0] ?? '';
  const [asDba, asOwner, ownSchema] = [...section.matchAll(/```sql\n([\s\S]*?)```/g)].map(
    ([, sql = '']) => sql,
  );
  if (asDba === undefined || asOwner === undefined || ownSchema === undefined)
    throw new RangeError('The page has not all blocks of SQL.');
  return [asDba, asOwner, ownSchema];
}
