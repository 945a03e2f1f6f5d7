/* eslint-disable @typescript-eslint/no-deprecated -- The first schema: only the newest versions of Grafana read the second. */
/** What all dashboards have: variables, links to each other and to the runbooks, rows of panels. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import type { MetricName } from '#common/telemetry/metric-catalogue.js';
import { PROMETHEUS } from './panels.js';
import { RUNBOOKS } from './uids.js';

/** By this tag the dashboards find each other. */
const TAG = 'sluice';

export interface Page {
  readonly uid: string;
  readonly title: string;
  /** Which question it answers. */
  readonly description: string;
  /** Besides the data source. */
  readonly variables: readonly VariableName[];
  readonly rows: readonly Row[];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

export type VariableName = keyof typeof VARIABLES;

/** Each offers the values of one label, and all of them at once. */
const VARIABLES = {
  dataset: { label: 'Dataset', values: labelValues('sluice_jobs', 'dataset') },
  service: { label: 'Service', values: labelValues('sluice_build_info', 'service') },
  instance: {
    label: 'Instance',
    values: labelValues('sluice_build_info', 'instance', '{service=~"$service"}'),
  },
} as const;

export function dashboard({ uid, title, description, variables, rows }: Page): Dashboard {
  const builder = new DashboardBuilder(`Sluice / ${title}`)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .timezone('browser')
    .time({ from: 'now-3h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .editable()
    .links([
      new DashboardLinkBuilder('Sluice')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
      new DashboardLinkBuilder('Runbooks').type(DashboardLinkType.Link).url(`/d/${RUNBOOKS}`),
    ])
    .variables([dataSource(), ...variables.map(variable)]);
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  return finished(builder.build());
}

/** Numbers the panels from 1 on, and leaves the links where every version of Grafana shows them: below the title. */
function finished(built: Dashboard): Dashboard {
  const links = built.links?.map(({ placement: _placement, ...link }) => link);
  const panels = built.panels?.map((panel, index) => ({ ...panel, id: index + 1 }));
  return { ...built, ...(links && { links }), ...(panels && { panels }) };
}

function dataSource(): Builder<VariableModel> {
  return new DatasourceVariableBuilder('datasource').label('Data source').type(PROMETHEUS.type);
}

function variable(name: VariableName): Builder<VariableModel> {
  const { label, values } = VARIABLES[name];
  return (
    new QueryVariableBuilder(name)
      .label(label)
      .datasource(PROMETHEUS)
      .query({ query: values, refId: `values-of-${name}` })
      .definition(values)
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      // Also what the list does not have: a dataset that is no longer registered, or all of them while the tracker is away.
      .allValue('.*')
      .current({ selected: true, text: ['All'], value: ['$__all'] })
  );
}

function labelValues(metric: MetricName, label: string, filter = ''): string {
  return `label_values(${metric}${filter}, ${label})`;
}
