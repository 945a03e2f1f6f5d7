/** The queries of all panels and variables of the dashboards, as Prometheus gets them from Grafana. */
import { dashboards } from '../../dashboards/dashboards.js';
import { ROOT } from '../docs/markdown-files.js';

export interface PanelQuery {
  /** Dashboard and panel, as a reader finds them. */
  readonly panel: string;
  /** As it is written, with Grafana's variables. */
  readonly expr: string;
}

export interface ShownPanel {
  readonly type: string;
  readonly title?: string;
  readonly description?: string;
  readonly datasource?: unknown;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string; readonly thresholds?: Thresholds } };
  readonly links?: readonly { readonly title: string; readonly url?: string }[];
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

interface Thresholds {
  readonly steps: readonly { readonly value: number | null; readonly color: string }[];
}

export interface ShownDashboard {
  readonly uid: string;
  readonly title: string;
  /** Without rows. */
  readonly panels: readonly ShownPanel[];
  readonly links: readonly { readonly url?: string; readonly tags: readonly string[] }[];
  readonly tags: readonly string[];
  readonly variables: readonly {
    readonly name: string;
    readonly query: string | { readonly query: string };
  }[];
}

/** As the files have them. */
export function shownDashboards(): ShownDashboard[] {
  return dashboards(ROOT).map((built) => {
    const { uid, title, panels, links, tags, templating } = JSON.parse(JSON.stringify(built)) as {
      readonly uid: string;
      readonly title: string;
      readonly panels: readonly ShownPanel[];
      readonly links: ShownDashboard['links'];
      readonly tags: readonly string[];
      readonly templating: { readonly list: ShownDashboard['variables'] };
    };
    const shown = panels.filter(({ type }) => type !== 'row');
    return { uid, title, links, tags, variables: templating.list, panels: shown };
  });
}

export function panelQueries(): PanelQuery[] {
  return shownDashboards().flatMap(({ title, panels }) =>
    panels.flatMap(({ title: panel = '', targets = [] }) =>
      targets.map(({ expr }) => ({ panel: `${title}: ${panel}`, expr })),
    ),
  );
}

/** As Grafana fills it in when All is chosen. @param window of rates and of the time range, as `30s` */
export function filledIn(expr: string, window: string): string {
  return expr
    .replaceAll('$__rate_interval', window)
    .replaceAll('$__range', window)
    .replaceAll(/\$(dataset|service|instance)\b/g, '.*');
}
