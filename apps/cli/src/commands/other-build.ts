import { join, resolve, sep } from 'node:path';
import type { DatasetView } from '#api/datasets.js';
import { plainText } from '#common/text/plain-text.js';
import { datasetFingerprint } from '#core/registry/fingerprint.js';
import { loadRegistry } from '#core/registry/registry.js';
import { SluiceClient } from '../client.js';
import { PROGRAM } from '../render/program-name.js';
import type { CliContext } from './context.js';
import { chosenContext } from './find-system.js';

/**
 * Says when what runs is not what lies in this checkout: a service judges by the contracts that it loaded at its start,
 * a command by those that were just built.
 */

/** @returns at most one sentence; none when either side is no build, as a system that runs from its sources */
export function otherBuild(own: string | null, running: readonly (string | null | undefined)[]): string[] {
  if (own === null) return [];
  const others = new Set(running.filter((build) => typeof build === 'string' && build !== own));
  if (others.size === 0) return [];
  return [
    `The running system is of another build (${[...others].sort().join(', ')}) than this checkout (${own}): ` +
      `what was changed in between has no effect there until \`${PROGRAM} restart\`.`,
  ];
}

/** To standard error, a line each, so that what a command prints stays what a script expects. */
export function warn(context: Pick<CliContext, 'stderr'>, lines: readonly string[]): void {
  for (const line of new Set(lines)) context.stderr.write(`${plainText(line)}\n`);
}

/** What a command that talks to a running system says of it: which part is missing, and that its build is another. */
export async function warnOfRunningSystem(
  context: CliContext,
  client: SluiceClient,
  datasets: readonly DatasetView[],
): Promise<void> {
  const local = await context.local.state();
  const settings = context.settings();
  const { ingestorUrl, trackerUrl } = settings;
  const isElsewhere =
    ingestorUrl !== undefined || trackerUrl !== undefined || (await chosenContext(settings)) !== null;
  const isLocal = local !== undefined && !isElsewhere;
  const builds = [await client.ingestorBuild(), ...datasets.map(({ build }) => build)];
  const troubles = isLocal ? (await context.local.status()).troubles : [];
  const other = otherBuild(context.build, [...builds, ...(isLocal ? local.builds : [])]);
  warn(context, [...troubles, ...other, ...(await otherDatasets(context, datasets))]);
}

/** Datasets outside of this checkout change without a build. */
async function otherDatasets(context: CliContext, running: readonly DatasetView[]): Promise<string[]> {
  const paths = context.settings().extraDatasetPaths();
  if (paths.length === 0) return [];
  // One that cannot be loaded is reported by the command that needs it.
  const registry = await loadRegistry(paths).catch(() => undefined);
  return (registry?.entries() ?? []).flatMap(({ name, folder }) => {
    const there = running.find((dataset) => dataset.name === name);
    if (there === undefined || there.fingerprint === datasetFingerprint(folder)) return [];
    return isBelow(folder, paths)
      ? [
          `The running system has loaded another version of dataset ${name} than stands in ${folder}: ` +
            `what was changed has no effect there until \`${PROGRAM} restart\`.`,
        ]
      : [];
  });
}

function isBelow(folder: string, paths: readonly string[]): boolean {
  return paths.some((path) => folder.startsWith(join(resolve(path), sep)));
}

/** What a command that works without a system says of the one that `sluice up` has started here. */
export async function warnOfLocalSystem(context: CliContext): Promise<void> {
  const state = await context.local.state();
  if (state === undefined) return;
  const needsTracker = context.settings().extraDatasetPaths().length > 0;
  const datasets = needsTracker ? await new SluiceClient(state).datasets().catch(() => []) : [];
  warn(context, [...otherBuild(context.build, state.builds), ...(await otherDatasets(context, datasets))]);
}
