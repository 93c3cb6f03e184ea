// One chart: the value, its bounds as a band, the alert level dashed, breaches as points, the chosen moment as a line.

import { clock, value } from './format.js';

const HEIGHT = 150;
/** A click this near to a breach, in CSS pixels, means the breach. */
const BREACH_REACH = 14;
/** Steps of an axis in bytes: powers of two, so that it reads 512 MiB and not 488.3 MiB. */
const BYTE_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** power);

/** A colour of the style sheet, resolved for the colours in use. */
function color(name) {
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.color = `var(${name})`;
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

let palette = null;
const colors = () => (palette ??= {
  value: color('--chart-value'), band: color('--chart-band'), bound: color('--chart-bound'), alert: color('--bad'),
  breach: color('--breach'), chosen: color('--text'), grid: color('--line'), text: color('--muted'), ground: color('--panel'),
});

/** To be called when light and dark changed, before the charts are drawn again. */
export const forgetColors = () => { palette = null; };

export class Chart {
  /** `pick(at)` is told the time, in Unix milliseconds, of the breach or sample that was clicked; `hover(text)` what lies under the pointer. */
  constructor(holder, unit, { pick, hover }) {
    this.holder = holder;
    this.unit = unit;
    this.pick = pick;
    this.hover = hover;
    this.bounds = null;
    this.band = null;
    this.tentative = null;
    this.chosen = null;
    this.plot = null;
    this.sized = new ResizeObserver(() => this.plot?.setSize({ width: holder.clientWidth, height: HEIGHT }));
  }

  /** `tentative`: bounds that were learned and are not in force, drawn where there are no others. */
  draw({ samples, breaches, bounds, band }, tentative, chosen) {
    this.bounds = bounds;
    // Bounds that change with time, one for each sample.
    this.band = bounds && band;
    this.tentative = tentative;
    this.chosen = chosen;
    const inBreach = new Set(breaches);
    const data = [
      samples.map(([at]) => at),
      samples.map(([, v]) => v),
      samples.map(([at, v]) => (inBreach.has(at) ? v : null)),
    ];
    if (this.plot) {
      this.plot.setData(data);
    } else {
      this.plot = new uPlot(this.options(), data, this.holder);
      this.plot.over.addEventListener('click', () => this.clicked());
      this.sized.observe(this.holder);
    }
  }

  choose(at) {
    this.chosen = at;
    this.plot?.redraw(false);
  }

  destroy() {
    this.sized.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }

  options() {
    const c = colors();
    const font = '11px system-ui, sans-serif';
    const axis = { stroke: c.text, font, grid: { stroke: c.grid, width: 1 }, ticks: { show: false }, gap: 6 };
    return {
      width: this.holder.clientWidth,
      height: HEIGHT,
      ms: 1,
      padding: [10, 26, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, fill: c.ground, stroke: c.value, width: 2 } },
      scales: { x: { time: true }, y: { range: (_, low, high) => this.range(low, high) } },
      axes: [
        { ...axis, size: 24, space: 70, grid: { show: false }, values: (_, splits) => timeLabels(splits) },
        { ...axis, size: 62, space: 34, values: (_, splits) => splits.map((v) => value(v, this.unit)), ...(this.unit.base === 'bytes' ? { incrs: BYTE_STEPS } : {}) },
      ],
      series: [
        {},
        { stroke: c.value, width: 1.5, points: { show: false } },
        { stroke: c.breach, paths: () => null, points: { show: true, size: 7, fill: c.breach, stroke: c.ground, width: 1.5 } },
      ],
      hooks: {
        drawClear: [(u) => this.drawBounds(u)],
        draw: [(u) => this.drawChosen(u)],
        setCursor: [(u) => this.hovered(u)],
      },
    };
  }

  /** The bounds in force always fit; the alert level, and bounds that are not used yet, only where they do not flatten the rest. */
  range(low, high) {
    const widest = this.band?.length ? outermost(this.band) : this.bounds;
    const { lower, upper } = widest ?? {};
    const [below, above] = widest ? [widest.alert_lower, widest.alert_upper] : [this.tentative?.lower, this.tentative?.upper];
    // A bound below zero of what cannot be negative would only make the rest flat.
    const given = (v) => v !== null && v !== undefined && (v >= 0 || this.unit.negative);
    if (low === null) [low, high] = [0, 1];
    if (given(lower)) low = Math.min(low, lower);
    if (given(upper)) high = Math.max(high, upper);
    const height = high - low || Math.abs(high) || 1;
    if (given(below) && low - below < 0.8 * height) low = Math.min(low, below);
    if (given(above) && above - high < 0.8 * height) high = Math.max(high, above);
    const air = (high - low || Math.abs(high) || 1) * 0.07;
    // What is never negative gets no axis below zero.
    return [low >= 0 && low - air < 0 ? -air * 0.3 : low - air, high + air];
  }

  drawBounds(u) {
    const bounds = this.bounds ?? this.tentative;
    if (!bounds) return;
    if (this.band?.length) { this.drawBand(u); return; }
    const { lower, upper, alert_lower, alert_upper } = bounds;
    const { ctx, bbox } = u;
    const c = colors();
    const y = (v) => Math.round(u.valToPos(v, 'y', true));
    const top = upper === null ? bbox.top : y(upper);
    const bottom = lower === null ? bbox.top + bbox.height : y(lower);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    if (this.bounds) {
      ctx.fillStyle = c.band;
      ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
    }
    const line = (v, stroke, dash) => {
      if (v === null || v === undefined) return;
      ctx.strokeStyle = stroke;
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash(dash.map((d) => d * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(bbox.left, y(v) + 0.5);
      ctx.lineTo(bbox.left + bbox.width, y(v) + 0.5);
      ctx.stroke();
    };
    line(lower, c.bound, this.bounds ? [] : [2, 3]);
    line(upper, c.bound, this.bounds ? [] : [2, 3]);
    if (!this.bounds) { ctx.restore(); return; }
    line(alert_lower, c.alert, [5, 4]);
    line(alert_upper, c.alert, [5, 4]);
    ctx.restore();
  }

  /** Bounds that change with time: each pair up to the next sample. */
  drawBand(u) {
    const { ctx, bbox } = u;
    const c = colors();
    const y = (v) => Math.round(u.valToPos(v, 'y', true));
    const xs = u.data[0].map((at) => Math.round(u.valToPos(at, 'x', true)));
    // A step at each sample, in the given order.
    const steps = (side, otherwise, indices) => indices.flatMap((i) => {
      const v = this.band[i][side];
      const height = v === null ? otherwise : y(v);
      const next = xs[Math.min(i + 1, xs.length - 1)];
      return indices[0] === 0 ? [[xs[i], height], [next, height]] : [[next, height], [xs[i], height]];
    });
    const forth = this.band.map((_, i) => i);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = c.band;
    ctx.beginPath();
    for (const [x, height] of [...steps('upper', bbox.top, forth), ...steps('lower', bbox.top + bbox.height, forth.toReversed())]) {
      ctx.lineTo(x, height);
    }
    ctx.fill();
    for (const [side, stroke, dash] of [['lower', c.bound, []], ['upper', c.bound, []], ['alert_lower', c.alert, [5, 4]], ['alert_upper', c.alert, [5, 4]]]) {
      if (this.band.some((pair) => pair[side] === null)) continue;
      ctx.strokeStyle = stroke;
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash(dash.map((d) => d * devicePixelRatio));
      ctx.beginPath();
      for (const [x, height] of steps(side, 0, forth)) ctx.lineTo(x, height + 0.5);
      ctx.stroke();
    }
    ctx.restore();
  }

  drawChosen(u) {
    if (this.chosen === null) return;
    const x = u.valToPos(this.chosen, 'x', true);
    const { ctx, bbox } = u;
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.save();
    ctx.strokeStyle = colors().chosen;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }

  hovered(u) {
    const at = u.cursor.idx;
    const v = at === null || at === undefined ? null : u.data[1][at];
    this.hover(v === null || v === undefined ? null : `${clock(u.data[0][at])} · ${value(v, this.unit)}`);
  }

  clicked() {
    const u = this.plot;
    const at = u.cursor.idx;
    if (at === null || at === undefined) return;
    let nearest = null, reach = BREACH_REACH;
    u.data[2].forEach((v, index) => {
      if (v === null) return;
      const away = Math.abs(u.valToPos(u.data[0][index], 'x') - u.cursor.left);
      if (away <= reach) [nearest, reach] = [index, away];
    });
    this.pick(u.data[0][nearest ?? at]);
  }
}

/** The lowest and the highest that a band has of each side; null where it has none at some time. */
function outermost(band) {
  const of = (side, most) => (band.some((pair) => pair[side] === null) ? null : most(...band.map((pair) => pair[side])));
  return { lower: of('lower', Math.min), upper: of('upper', Math.max), alert_lower: of('alert_lower', Math.min), alert_upper: of('alert_upper', Math.max) };
}

function timeLabels(splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 60_000;
  const parts = step < 60_000 ? { hour: '2-digit', minute: '2-digit', second: '2-digit' }
    : step < 86_400_000 ? { hour: '2-digit', minute: '2-digit' } : { day: 'numeric', month: 'short' };
  return splits.map((at) => new Date(at).toLocaleString('en-GB', parts));
}
