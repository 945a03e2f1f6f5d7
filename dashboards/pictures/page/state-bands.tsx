/** States over time, one band for each series. Grafana's own component for it is in its server, not among those it publishes. */
import { LegendDisplayMode } from '@grafana/schema';
import { VizLegend, useTheme2 } from '@grafana/ui';
import type { Drawing } from './drawing.js';

export interface Band {
  readonly name: string;
  /** One for each step of the time range; null: no state is known. */
  readonly colors: readonly (string | null)[];
}

export interface LegendItem {
  readonly label: string;
  readonly color: string;
}

export interface StateBandsProps {
  readonly bands: readonly Band[];
  /** The states that occur. */
  readonly legend: readonly LegendItem[];
  readonly drawing: Drawing;
  readonly width: number;
  readonly height: number;
}

const AXIS = 24;
const LEGEND = 28;
/** Of the row's height, as `rowHeight` in the dashboards has it. */
const SHARE = 0.8;

export function StateBands({ bands, legend, drawing, width, height: whole }: StateBandsProps) {
  const height = whole - LEGEND;
  const { colors, typography } = useTheme2();
  const longest = Math.max(...bands.map(({ name }) => name.length));
  const left = longest * 6.6 + 12;
  const row = (height - AXIS) / bands.length;
  const { from, to } = drawing;
  const x = (share: number): number => left + share * (width - left);
  const marks = [0, 0.25, 0.5, 0.75].map((share) => ({ share, time: from + share * (to - from) }));
  return (
    <>
      <svg width={width} height={height} fontFamily={typography.fontFamily} fontSize={12}>
        {bands.map((band, index) => {
          const top = index * row + (row * (1 - SHARE)) / 2;
          return (
            <g key={band.name}>
              <text x={left - 8} y={index * row + row / 2 + 4} textAnchor="end" fill={colors.text.primary}>
                {band.name}
              </text>
              {runsOf(band).map(({ color, start, end }) => (
                <rect
                  key={start}
                  x={x(start)}
                  y={top}
                  width={x(end) - x(start)}
                  height={row * SHARE}
                  fill={color}
                  fillOpacity={0.7}
                />
              ))}
            </g>
          );
        })}
        {marks.map(({ share, time }) => (
          <text key={share} x={x(share)} y={height - 6} fill={colors.text.primary}>
            {new Date(time * 1_000).toISOString().slice(11, 19)}
          </text>
        ))}
      </svg>
      <VizLegend
        displayMode={LegendDisplayMode.List}
        placement="bottom"
        items={legend.map((item) => ({ ...item, yAxis: 1 }))}
      />
    </>
  );
}

/** Equal neighbours as one. Start and end are shares of the time range. */
function runsOf({ colors }: Band): { color: string; start: number; end: number }[] {
  const runs: { color: string; start: number; end: number }[] = [];
  colors.forEach((color, at) => {
    const last = runs.at(-1);
    const [start, end] = [at / colors.length, (at + 1) / colors.length];
    if (color === null) return;
    if (last?.color === color && last.end === start) last.end = end;
    else runs.push({ color, start, end });
  });
  return runs;
}
