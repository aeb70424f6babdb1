// A bar chart as an SVG file that reads well on white and on dark pages.

const WIDTH = 760;
const LABEL_WIDTH = 150;
const VALUE_WIDTH = 90;
const BAR_HEIGHT = 16;
const BAR_STEP = 22;
const MARGIN = 24;

const STYLE = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 } .note { fill: #59636e } .panel { font-size: 13px; font-weight: 600 }
  .label { text-anchor: end } .ours { font-weight: 600 }
  .back { fill: #ffffff } rect.ours { fill: #0f7b6c } rect.peer { fill: #b9c0c8 } rect.reference { fill: #7d8590 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 }
    .back { fill: #0d1117 } rect.ours { fill: #2ec4a6 } rect.peer { fill: #4b535d } rect.reference { fill: #7d8590 }
  }`;

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/**
 * Draws one panel of horizontal bars per case, each panel with a scale of its own.
 *
 * @param {{ title: string, notes: string[], format: (value: number) => string,
 *   panels: { title: string, bars: { label: string, value: number, kind: 'ours' | 'peer' | 'reference' }[] }[] }} chart
 */
export function barChart({ title, notes, format, panels }) {
  const parts = [];
  let y = MARGIN + 14;
  const text = (x, content, className) =>
    parts.push(`<text x="${x}" y="${y}" class="${className}">${escape(content)}</text>`);

  text(MARGIN, title, 'title');
  for (const note of notes) {
    y += 18;
    text(MARGIN, note, 'note');
  }
  const room = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH;
  for (const panel of panels) {
    y += 34;
    text(MARGIN, panel.title, 'panel');
    y += 10;
    const largest = Math.max(...panel.bars.map(({ value }) => value));
    for (const { label, value, kind } of panel.bars) {
      const length = Math.max(1, (value / largest) * room).toFixed(1);
      const left = MARGIN + LABEL_WIDTH;
      parts.push(
        `<rect x="${left}" y="${y}" width="${length}" height="${BAR_HEIGHT}" rx="2" class="${kind}"/>`,
      );
      y += 12.5;
      text(left - 8, label, `label ${kind}`);
      text((left + Number(length) + 8).toFixed(1), format(value), kind);
      y += BAR_STEP - 12.5;
    }
  }
  const height = y + MARGIN - 6;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(title)}">
<style>${STYLE}
</style>
<rect class="back" width="${WIDTH}" height="${height}" rx="6"/>
${parts.join('\n')}
</svg>
`;
}
