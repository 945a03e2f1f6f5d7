/**
 * Draws every dashboard of `dashboards/json` over a Prometheus, and takes one picture of each.
 *
 * The page is drawn by Grafana's components in a real Chromium: that of the machine, or the one that CHROMIUM names.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import sharp from 'sharp';
import { build, preview } from 'vite';

const HERE = import.meta.dirname;
const DASHBOARDS = join(HERE, '..', 'json');
const WIDTH = 1_400;
const MAX_HEIGHT = 4_000;
/** Of pages of text, which are large as pictures and better read as such: only their top is shown. */
const MAX_TEXT_HEIGHT = 2_000;
const MAX_BYTES = 150_000;
/** Numbers of colours to try, the best first. */
const COLORS = [128, 64, 32, 16];
const DRAWN_MS = 120_000;

/**
 * @param prometheus its address
 * @param from of the time range, in seconds since 1970; so is `to`
 * @param folder of the pictures
 * @returns the paths of the pictures
 */
export async function takePictures({ prometheus, from, to, folder, only = () => true }) {
  const program = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
  if (program === undefined) throw new Error('Chromium is not here: install it, or name it by CHROMIUM.');
  await build({ root: HERE });
  const server = await preview({ root: HERE, preview: { host: '127.0.0.1', port: 0 } });
  const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const paths = [];
    for (const name of readdirSync(DASHBOARDS).filter(only)) {
      const dashboard = JSON.parse(readFileSync(join(DASHBOARDS, name), 'utf8'));
      const drawing = { dashboard, prometheus, from, to, step: 1, rateWindow: 15 };
      const picture = await pictureOf(browser, server.resolvedUrls.local[0], drawing);
      const path = join(folder, name.replace(/\.json$/, '.png'));
      writeFileSync(path, await small(picture));
      paths.push(path);
    }
    return paths;
  } finally {
    await browser.close();
    await server.close();
  }
}

async function pictureOf(browser, address, drawing) {
  const lines = Math.max(...drawing.dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  const isText = drawing.dashboard.panels.every(({ type }) => ['row', 'text'].includes(type));
  const height = Math.min(64 + lines * 38 + 8, isText ? MAX_TEXT_HEIGHT : MAX_HEIGHT);
  const context = await browser.newContext({
    viewport: { width: WIDTH, height },
    reducedMotion: 'reduce',
    timezoneId: 'UTC',
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => process.stderr.write(`${drawing.dashboard.title}: ${error.stack}\n`));
  await page.addInitScript((given) => {
    globalThis.drawing = given;
  }, drawing);
  await page.goto(address);
  await page.waitForSelector('body[data-drawn], body[data-failed]', { timeout: DRAWN_MS, state: 'attached' });
  const failed = await page.getAttribute('body', 'data-failed');
  if (failed !== null) throw new Error(`${drawing.dashboard.title}: ${failed}`);
  // Two frames later the charts, which measure their place first, have drawn themselves.
  await page.waitForLoadState('networkidle');
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const picture = await page.screenshot({ animations: 'disabled', caret: 'hide' });
  await context.close();
  return picture;
}

/** With the most colours that fit into {@link MAX_BYTES}. */
async function small(picture) {
  for (const colors of COLORS) {
    const image = await sharp(picture).png({ palette: true, colors, effort: 10, dither: 0 }).toBuffer();
    if (image.length <= MAX_BYTES) return image;
  }
  throw new Error(`A picture has more than ${MAX_BYTES} bytes with ${COLORS.at(-1)} colours.`);
}
