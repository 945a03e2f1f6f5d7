/** What a panel shows: the answers to its queries, with the panel's units, limits and colours applied as Grafana applies them. */
import {
  type DataFrame,
  type FieldConfig,
  FieldColorModeId,
  type GrafanaTheme2,
  FieldType,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';
import type { Drawing, Panel } from './drawing.js';
import { course, rows } from './prometheus.js';

standardTransformersRegistry.setInit(() =>
  [standardTransformers.organizeFieldsTransformer].map((transformation) => ({
    ...{ id: transformation.id, name: transformation.name, transformation: async () => transformation },
    ...{ editor: () => null, imageDark: '', imageLight: '' },
  })),
);

/** What Grafana's kinds of panels add to what a dashboard's file says. */
const DEFAULTS: Readonly<Record<string, FieldConfig>> = {
  timeseries: {
    color: { mode: FieldColorModeId.PaletteClassic },
    custom: { drawStyle: 'line', lineInterpolation: 'linear', pointSize: 5, axisPlacement: 'auto' },
  },
  stat: { color: { mode: FieldColorModeId.Thresholds } },
  table: { color: { mode: FieldColorModeId.Thresholds } },
  'state-timeline': { color: { mode: FieldColorModeId.Thresholds } },
};

export async function answersOf(panel: Panel, drawing: Drawing, theme: GrafanaTheme2): Promise<DataFrame[]> {
  const { type, targets = [], transformations = [], fieldConfig } = panel;
  const answers = await Promise.all(
    targets.map(async (target) => (target.instant ? [await rows(target, drawing)] : course(target, drawing))),
  );
  const data = await firstValueFrom(transformDataFrame(transformations, answers.flat()));
  const defaults = DEFAULTS[type];
  for (const { config } of data.flatMap(({ fields }) => fields)) {
    Object.assign(config, { ...defaults, ...fieldConfig?.defaults, ...config });
    config.custom = { ...defaults?.custom, ...fieldConfig?.defaults.custom };
  }
  cacheFieldDisplayNames(data);
  const result = applyFieldOverrides({
    data: type === 'timeseries' ? data.map(withGaps) : data,
    fieldConfig: fieldConfig ?? { defaults: {}, overrides: [] },
    replaceVariables: (value) => value,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(result);
  return result;
}

/** As Grafana's panel has it: what is no number, as a share of nothing, is a gap. */
function withGaps(frame: DataFrame): DataFrame {
  const fields = frame.fields.map((field) =>
    field.type === FieldType.number
      ? { ...field, values: field.values.map((value) => (Number.isFinite(value) ? value : null)) }
      : field,
  );
  return { ...frame, fields };
}
