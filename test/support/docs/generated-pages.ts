import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { configurationPage } from './configuration-page.js';
import { contractPage } from './contract-page.js';
import { errorsPage } from './errors-page.js';
import { metricsPage } from './metrics-page.js';

/** A page of docs/ that is written from the code: `npm run docs` writes it, a test compares. */
export interface GeneratedPage {
  /** From the top folder, with slashes. */
  readonly file: string;
  readonly text: string;
}

const PAGES: Readonly<Record<string, (root: string) => string | Promise<string>>> = {
  'docs/errors.md': errorsPage,
  'docs/configuration.md': configurationPage,
  'docs/contract.md': contractPage,
  'docs/metrics.md': metricsPage,
};

/** @param root the top folder: its formatter's settings are used */
export async function generatedPages(root: string): Promise<GeneratedPage[]> {
  const pages: GeneratedPage[] = [];
  for (const [file, write] of Object.entries(PAGES)) {
    const settings = await resolveConfig(join(root, file));
    pages.push({ file, text: await format(await write(root), { ...settings, parser: 'markdown' }) });
  }
  return pages;
}
