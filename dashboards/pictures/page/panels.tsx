/** Each kind of panel that the dashboards have, drawn by Grafana's own component; the bands of states alone are drawn here. */
import {
  type DataFrame,
  type GrafanaTheme2,
  FieldType,
  dateTime,
  getDisplayValueAlignmentFactors,
  getFieldDisplayName,
  getFieldDisplayValues,
  renderMarkdown,
} from '@grafana/data';
import { BigValue, TimeSeries, VizRepeater, useTheme2 } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { VizOrientation } from '@grafana/schema';
import type { Drawing, Panel } from './drawing.js';
import { StateBands } from './state-bands.js';

export interface ContentProps {
  readonly panel: Panel;
  readonly data: DataFrame[];
  readonly drawing: Drawing;
  readonly width: number;
  readonly height: number;
}

export function Content(props: ContentProps) {
  const { panel, data, drawing, width, height } = props;
  if (panel.type === 'text') return <Markdown {...props} />;
  if (data.every(({ length }) => length === 0)) return <Empty />;
  switch (panel.type) {
    case 'timeseries':
      return (
        <TimeSeries
          frames={data}
          timeRange={timeRangeOf(drawing)}
          timeZone="utc"
          legend={panel.options.legend}
          width={width}
          height={height}
        />
      );
    case 'stat':
      return <Stat {...props} />;
    case 'table':
      return (
        <TableNG
          data={data[0]!}
          width={width}
          height={height}
          cellHeight={panel.options.cellHeight}
          sortBy={panel.options.sortBy}
          fieldConfig={panel.fieldConfig}
        />
      );
    case 'state-timeline':
      return (
        <StateBands
          bands={bandsOf(data)}
          legend={statesOf(data)}
          drawing={drawing}
          width={width}
          height={height}
        />
      );
    default:
      throw new Error(`The page cannot draw a panel of the kind ${panel.type}.`);
  }
}

/** The newest values side by side, each with its course behind it. */
function Stat({ panel, data, width, height }: ContentProps) {
  const theme: GrafanaTheme2 = useTheme2();
  const { reduceOptions, colorMode, graphMode, justifyMode, textMode } = panel.options;
  const values = getFieldDisplayValues({
    ...{ data, reduceOptions, theme, timeZone: 'utc', sparkline: graphMode !== 'none' },
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    replaceVariables: (value) => value,
  });
  return (
    <VizRepeater
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, count, alignmentFactors, width: itsWidth, height: itsHeight }) => (
        <BigValue
          value={value.display}
          count={count}
          sparkline={value.sparkline}
          alignmentFactors={alignmentFactors}
          {...{ colorMode, graphMode, justifyMode, textMode, theme }}
          width={itsWidth}
          height={itsHeight}
        />
      )}
      source={data}
      itemSpacing={3}
      renderCounter={0}
      autoGrid
      orientation={VizOrientation.Auto}
      width={width}
      height={height}
    />
  );
}

function Markdown({ panel, height }: ContentProps) {
  const html = renderMarkdown(panel.options.content);
  return (
    <div
      className="markdown-html"
      style={{ height, overflow: 'hidden' }}
      dangerouslySetInnerHTML={{ __html: html }}
    />
  );
}

function Empty() {
  return <div style={{ display: 'grid', placeItems: 'center', height: '100%' }}>No data</div>;
}

function bandsOf(data: DataFrame[]) {
  return data.flatMap((frame) =>
    frame.fields
      .filter(({ type }) => type === FieldType.number)
      .map((field) => ({
        name: getFieldDisplayName(field, frame, data),
        colors: field.values.map((value) => (value === null ? null : (field.display?.(value).color ?? null))),
      })),
  );
}

function statesOf(data: DataFrame[]) {
  const colors = new Map<string, string>();
  for (const { type, values, display } of data.flatMap(({ fields }) => fields))
    for (const value of type === FieldType.number ? values : []) {
      const { text, color } = display?.(value) ?? {};
      if (value !== null && text !== undefined && color !== undefined) colors.set(text, color);
    }
  return [...colors].map(([label, color]) => ({ label, color }));
}

function timeRangeOf({ from, to }: Drawing) {
  const [start, end] = [dateTime(from * 1_000), dateTime(to * 1_000)];
  return { from: start, to: end, raw: { from: start, to: end } };
}
