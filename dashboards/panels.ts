/** The kinds of panels that the dashboards consist of. Each has a title, a description and a unit. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardLinkBuilder,
  DashboardLinkType,
  type DataTransformerConfig,
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import * as stateTimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import * as statPanel from '@grafana/grafana-foundation-sdk/stat';
import * as tablePanel from '@grafana/grafana-foundation-sdk/table';
import * as textPanel from '@grafana/grafana-foundation-sdk/text';
import * as timeSeries from '@grafana/grafana-foundation-sdk/timeseries';
import { RUNBOOKS } from './uids.js';

/** The data source that is chosen at the top. */
export const PROMETHEUS = { type: 'prometheus', uid: '${datasource}' } as const;
/** Columns of a dashboard. */
export const WHOLE_WIDTH = 24;

export interface Query {
  readonly expr: string;
  /** Names of labels in double braces are replaced by their values. */
  readonly legend: string;
}

export interface PanelFacts {
  readonly title: string;
  /** What is shown, and what to conclude from it. */
  readonly description: string;
  /** An id of Grafana, or `suffix: …`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Red from this value on. */
  readonly redFrom?: number;
  /** Red below this value. */
  readonly redBelow?: number;
  /** Orange from this value on, and not red. */
  readonly orangeFrom?: number;
  /** The alert whose runbook says what to do. */
  readonly runbook?: string;
  /** Of {@link WHOLE_WIDTH}. */
  readonly width?: number;
  /** Of 30 pixels. */
  readonly height?: number;
}

/** Lines over time. */
export function graph(facts: PanelFacts): Builder<Panel> {
  const panel = new timeSeries.PanelBuilder()
    .min(0)
    .lineWidth(1)
    .fillOpacity(10)
    // Only where there are few: a single measurement between two gaps is a point, or would not be seen.
    .showPoints(common.VisibilityMode.Auto)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.Table)
        .placement(isWide(facts) ? common.LegendPlacement.Right : common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(['lastNotNull', 'max']),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi));
  if (hasLimits(facts))
    panel
      .thresholds(limitsOf(facts, 'transparent'))
      .thresholdsStyle(
        new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed),
      );
  const top = leastTop(facts);
  if (top !== undefined) panel.axisSoftMax(top);
  for (const query of targetsOf(facts)) panel.withTarget(query.range());
  return dressed(panel, facts, { width: 8, height: 8 });
}

/** The newest value, large, with its course in the background. */
export function stat(facts: PanelFacts): Builder<Panel> {
  const panel = new statPanel.PanelBuilder()
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
    .graphMode(common.BigValueGraphMode.Area)
    .textMode(common.BigValueTextMode.Auto)
    .colorMode(hasLimits(facts) ? common.BigValueColorMode.Background : common.BigValueColorMode.Value)
    .thresholds(limitsOf(facts, hasLimits(facts) ? 'green' : 'blue'));
  for (const query of targetsOf(facts)) panel.withTarget(query.range());
  return dressed(panel, facts, { width: 4, height: 4 });
}

/** One row for each series, the highest first, as it is at the end of the time range. @param value heads the values */
export function table(facts: PanelFacts, value: string): Builder<Panel> {
  const transformations: DataTransformerConfig[] = [
    { id: 'organize', options: { excludeByName: { Time: true }, renameByName: { Value: value } } },
  ];
  const panel = new tablePanel.PanelBuilder()
    .transformations(transformations)
    .sortBy([new common.TableSortByFieldStateBuilder().displayName(value).desc(true)])
    .cellHeight(common.TableCellHeight.Sm)
    // Grafana's 150 pixels would push the values of a narrow table out of sight.
    .minWidth(80);
  if (hasLimits(facts)) panel.thresholds(limitsOf(facts, 'text'));
  for (const query of targetsOf(facts)) panel.withTarget(query.instant().format(PromQueryFormat.Table));
  return dressed(panel, facts, { width: 8, height: 8 });
}

/** A value of a state timeline, what it is called and its colour. */
export interface StateWord {
  readonly value: number;
  readonly text: string;
  readonly color: string;
}

/** One band for each series, coloured by state. */
export function states(facts: PanelFacts, words: readonly StateWord[]): Builder<Panel> {
  const mapping: ValueMapping = {
    type: MappingType.ValueToText,
    options: Object.fromEntries(
      words.map(({ value, text, color }, index) => [String(value), { text, color, index }]),
    ),
  };
  const panel = new stateTimeline.PanelBuilder()
    .mappings([mapping])
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .showValue(common.VisibilityMode.Never)
    .mergeValues(true)
    .rowHeight(0.8)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    );
  for (const query of targetsOf(facts)) panel.withTarget(query.range());
  return dressed(panel, facts, { width: 12, height: 10 });
}

/** Markdown. */
export function text(title: string, markdown: string, width: number, height: number): Builder<Panel> {
  return new textPanel.PanelBuilder()
    .title(title)
    .mode(textPanel.TextMode.Markdown)
    .content(markdown)
    .span(width)
    .height(height);
}

/** What the builders of all kinds of panels have. */
interface AnyPanel extends Builder<Panel> {
  title(title: string): this;
  description(description: string): this;
  unit(unit: string): this;
  datasource(datasource: common.DataSourceRef): this;
  span(width: number): this;
  height(height: number): this;
  links(links: Builder<unknown>[]): this;
}

function dressed(
  panel: AnyPanel,
  { title, description, unit, runbook, ...size }: PanelFacts,
  defaults: { readonly width: number; readonly height: number },
): Builder<Panel> {
  panel
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(PROMETHEUS)
    .span(size.width ?? defaults.width)
    .height(size.height ?? defaults.height);
  return runbook === undefined ? panel : panel.links([runbookLink(runbook)]);
}

function runbookLink(alert: string): DashboardLinkBuilder {
  return new DashboardLinkBuilder(`Runbook: ${alert}`)
    .type(DashboardLinkType.Link)
    .url(`/d/${RUNBOOKS}`)
    .targetBlank(true);
}

/** Named A, B, … as Grafana does. */
function targetsOf({ queries }: PanelFacts): DataqueryBuilder[] {
  return queries.map(({ expr, legend }, index) =>
    new DataqueryBuilder()
      .refId(String.fromCharCode('A'.charCodeAt(0) + index))
      .expr(expr)
      .legendFormat(legend),
  );
}

type Limits = Pick<PanelFacts, 'redFrom' | 'redBelow' | 'orangeFrom'>;

function hasLimits({ redFrom, redBelow, orangeFrom }: Limits): boolean {
  return redFrom !== undefined || redBelow !== undefined || orangeFrom !== undefined;
}

/** Below the plot a legend has three rows, beside it eight. */
function isWide({ width }: PanelFacts): boolean {
  return width === WHOLE_WIDTH;
}

/**
 * How far the axis goes at least: to the limit, so that it is seen how near the values are. Without one it is 1, because Grafana
 * draws zeros alone on a scale up to 100. Times and bytes per second are far below their limits on a good day, and have their own scale.
 */
function leastTop({ unit, redFrom, orangeFrom }: PanelFacts): number | undefined {
  if (unit === 's' || unit === 'Bps') return undefined;
  return redFrom ?? orangeFrom ?? (unit === 'bytes' ? undefined : 1);
}

function limitsOf({ redFrom, redBelow, orangeFrom }: Limits, otherwise: string): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([
      { value: null, color: redBelow === undefined ? otherwise : 'red' },
      ...(redBelow === undefined ? [] : [{ value: redBelow, color: otherwise }]),
      ...(orangeFrom === undefined ? [] : [{ value: orangeFrom, color: 'orange' }]),
      ...(redFrom === undefined ? [] : [{ value: redFrom, color: 'red' }]),
    ]);
}
