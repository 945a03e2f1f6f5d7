/* eslint-disable @typescript-eslint/no-deprecated -- The first schema: only the newest versions of Grafana read the second. */
/** All dashboards, as files that Grafana provisions or imports. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { dataset } from './dataset.js';
import { dashboard } from './frame.js';
import { jobPath } from './job-path.js';
import { kafka } from './kafka.js';
import { overview } from './overview.js';
import { postgres } from './postgres.js';
import { runbooks } from './runbooks.js';
import { service } from './service.js';
import { streams } from './streams.js';

export interface DashboardFile {
  /** From the top folder, with slashes. */
  readonly file: string;
  readonly text: string;
}

/** @param root the top folder: alerts and runbooks are read from it */
export function dashboards(root: string): Dashboard[] {
  return [overview(root), jobPath, dataset, streams, kafka, postgres, service, runbooks(root)].map(dashboard);
}

/** `npm run dashboards` writes them; a test compares. */
export function dashboardFiles(root: string): DashboardFile[] {
  return dashboards(root).map((each) => ({
    file: `dashboards/json/${each.uid ?? ''}.json`,
    text: `${JSON.stringify(each, null, 2)}\n`,
  }));
}
