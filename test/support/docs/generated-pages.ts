import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { configurationPage } from './configuration-page.js';
import { errorsPage } from './errors-page.js';

/** A page of docs/ that is written from the code: `npm run docs` writes it, a test compares. */
export interface GeneratedPage {
  /** From the top folder, with slashes. */
  readonly file: string;
  readonly text: string;
}

const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/errors.md': errorsPage,
  'docs/configuration.md': configurationPage,
};

/** @param root the top folder: its formatter's settings are used */
export async function generatedPages(root: string): Promise<GeneratedPage[]> {
  return Promise.all(
    Object.entries(PAGES).map(async ([file, write]) => {
      const settings = await resolveConfig(join(root, file));
      return { file, text: await format(await write(), { ...settings, parser: 'markdown' }) };
    }),
  );
}
