/** What the page is given to draw, and the parts of a dashboard's file that it reads. */
import type { DataTransformerConfig, FieldConfigSource } from '@grafana/data';

export interface Drawing {
  readonly dashboard: Dashboard;
  /** `http://127.0.0.1:9090` */
  readonly prometheus: string;
  /** The time range, in seconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** Between two values of a line, in seconds. */
  readonly step: number;
  /** Of rates, in seconds: Grafana's `$__rate_interval`. */
  readonly rateWindow: number;
}

export interface Dashboard {
  readonly title: string;
  readonly description?: string;
  readonly panels: readonly Panel[];
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title?: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: FieldConfigSource;
  // Each kind of panel has its own.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly options?: any;
  readonly transformations?: DataTransformerConfig[];
  readonly targets?: readonly Target[];
}

export interface Target {
  readonly expr: string;
  readonly legendFormat?: string;
  readonly instant?: boolean;
}

declare global {
  /** Set before the page is loaded. */
  var drawing: Drawing;
}
