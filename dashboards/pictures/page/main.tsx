/** Draws `globalThis.drawing`, and sets `data-drawn` on the body when every panel stands; a panel that fails sets `data-failed`. */
import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import { type DataFrame, ThemeContext, createTheme } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { answersOf } from './answers.js';
import type { Drawing, Panel } from './drawing.js';
import { Content } from './panels.js';

/** Grafana's grid, in pixels. */
const [COLUMNS, CELL, GAP] = [24, 30, 8];
const HEAD = 64;
const theme = createTheme({ colors: { mode: 'dark' } });

function Page({ drawing, answers }: { drawing: Drawing; answers: ReadonlyMap<Panel, DataFrame[]> }) {
  const { title, description, panels } = drawing.dashboard;
  const column = (window.innerWidth - GAP) / COLUMNS;
  const lines = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h));
  return (
    <div style={{ position: 'relative', height: HEAD + lines * (CELL + GAP) + GAP }}>
      <header style={{ padding: '10px 8px' }}>
        <div style={{ fontSize: 18, fontWeight: 500 }}>{title}</div>
        <div style={{ color: theme.colors.text.secondary }}>{description}</div>
      </header>
      {panels.map((panel) => {
        const { x, y, w, h } = panel.gridPos;
        const [width, height] = [w * column - GAP, h * (CELL + GAP) - GAP];
        const place = { left: GAP + x * column, top: HEAD + y * (CELL + GAP), width, height };
        return (
          <div key={panel.id} style={{ position: 'absolute', ...place }}>
            {panel.type === 'row' ? (
              <div style={{ fontWeight: 500, padding: '5px 4px' }}>⌄ {panel.title}</div>
            ) : (
              <PanelChrome
                title={panel.title ?? ''}
                description={panel.description}
                width={width}
                height={height}
              >
                {(innerWidth, innerHeight) => (
                  <Content
                    {...{ panel, drawing }}
                    data={answers.get(panel) ?? []}
                    width={innerWidth}
                    height={innerHeight}
                  />
                )}
              </PanelChrome>
            )}
          </div>
        );
      })}
    </div>
  );
}

async function draw(drawing: Drawing): Promise<void> {
  const { panels } = drawing.dashboard;
  const answers = new Map(
    await Promise.all(panels.map(async (panel) => [panel, await answersOf(panel, drawing, theme)] as const)),
  );
  createRoot(document.querySelector('#root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Page drawing={drawing} answers={answers} />
    </ThemeContext.Provider>,
  );
  await document.fonts.ready;
}

try {
  await draw(globalThis.drawing);
  document.body.dataset['drawn'] = '';
} catch (error) {
  document.body.dataset['failed'] = String(error);
}
