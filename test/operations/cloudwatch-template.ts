/** What deploy/aws makes, read from the committed files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutFolder } from '#local/folders.js';
import { fieldOf, filterPattern } from './filter-pattern.js';

export interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

/** @param name of a file of deploy/aws */
export function awsFile(name: string): unknown {
  return JSON.parse(readFileSync(join(checkoutFolder(), 'deploy', 'aws', name), 'utf8'));
}

const { Resources: RESOURCES } = awsFile('template.json') as {
  Resources: Readonly<Record<string, Resource>>;
};

/** Logical id and properties of the resources of a type, such as `AWS::Logs::LogGroup`. */
export function resourcesOf<T>(type: string): (T & { readonly id: string })[] {
  return Object.entries(RESOURCES).flatMap(([id, { Type, Properties }]) =>
    Type === type ? { ...(Properties as T), id } : [],
  );
}

export interface MetricFilter {
  readonly FilterPattern: string;
  readonly MetricTransformations: readonly {
    readonly MetricName: string;
    readonly MetricNamespace: string;
    readonly MetricValue: string;
    readonly DefaultValue: number;
    readonly Unit: string;
  }[];
}

/** The sums of the metrics that the filters make of log lines, by name: what CloudWatch would have counted. */
export function metricsOf(lines: readonly Readonly<Record<string, unknown>>[]): Record<string, number> {
  const filters = resourcesOf<MetricFilter>('AWS::Logs::MetricFilter');
  return Object.fromEntries(
    filters.flatMap(({ FilterPattern, MetricTransformations }) => {
      const matches = filterPattern(FilterPattern);
      return MetricTransformations.map(({ MetricName, MetricValue }) => {
        const values = lines
          .filter(matches)
          .map((line) => Number(MetricValue.startsWith('$') ? fieldOf(line, MetricValue) : MetricValue));
        return [MetricName, values.reduce((sum, value) => sum + value, 0)];
      });
    }),
  );
}
