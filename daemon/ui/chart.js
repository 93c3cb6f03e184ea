// One chart: the value, its bounds as a band, the alert level dashed, breaches as points, what is not learned from shaded, and what
// was chosen marked. Drawing beside uPlot's own lines is in paint.js.

import { clock, value } from './format.js';
import * as paint from './paint.js';

/** A click this near to a breach, in CSS pixels, means the breach. */
const BREACH_REACH = 14;
/** A drag shorter than this, in CSS pixels, is a click. */
const DRAG_MIN = 5;
/** So many breaches are drawn smaller, and so many as the smallest dots, which leave the line to be seen. */
const MANY = 80;
const CROWD = 500;
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
  breach: color('--breach'), masked: color('--chart-masked'), chosen: color('--text'), picked: color('--chart-picked'),
  level: color('--mend'), verdict: color('--warn'), grid: color('--line'), text: color('--muted'), ground: color('--panel'),
});

/** To be called when light and dark changed, before the charts are drawn again. */
export const forgetColors = () => { palette = null; };

export class Chart {
  /** `pick(at)` is told the time, in Unix milliseconds, of the breach or sample that was clicked; `select(from, until)`, where it is
   *  given, what was dragged over; `hover(text)` what lies under the pointer. */
  constructor(holder, unit, { pick, select = null, hover, height = 150 }) {
    Object.assign(this, { holder, unit, pick, select, hover, height });
    this.data = null;
    this.tentative = null;
    this.chosen = null;
    this.zoomed = null;
    this.dragged = false;
    this.plot = null;
    this.sized = new ResizeObserver(() => this.plot?.setSize({ width: holder.clientWidth, height }));
  }

  /** `data`: samples and bounds as the API has them; also `alerts` (pairs of times) and `verdicts` (`{ at, until, word }`). `tentative`:
   *  bounds that were learned and are not in force, drawn where there are no others. `chosen`: a time, two of them, or null. */
  draw(data, tentative, chosen) {
    this.data = data;
    this.tentative = tentative;
    this.chosen = chosen;
    const inBreach = new Set(data.breaches);
    const lines = [
      data.samples.map(([at]) => at),
      data.samples.map(([, v]) => v),
      data.samples.map(([at, v]) => (inBreach.has(at) ? v : null)),
    ];
    if (this.plot) {
      this.plot.setData(lines, this.zoomed === null);
      if (this.zoomed) this.plot.setScale('x', this.shown(this.zoomed));
    } else {
      this.plot = new uPlot(this.options(data.breaches.length), lines, this.holder);
      this.plot.over.addEventListener('click', () => this.clicked());
      this.sized.observe(this.holder);
      if (this.zoomed) this.plot.setScale('x', this.shown(this.zoomed));
    }
  }

  choose(chosen) {
    this.chosen = chosen;
    this.plot?.redraw(false);
  }

  /** Shows the last so many milliseconds; null: all there is. */
  zoom(span) {
    this.zoomed = span;
    this.plot?.setScale('x', this.shown(span));
  }

  shown(span) {
    const [first, last] = [this.data.samples[0][0], this.data.samples.at(-1)[0]];
    return { min: span === null ? first : Math.max(first, last - span), max: last };
  }

  destroy() {
    this.sized.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }

  /** Bounds that change with time, one for each sample; null where they stand. */
  get band() {
    return this.data.bounds && this.data.band?.length ? this.data.band : null;
  }

  options(breaches) {
    const c = colors();
    const size = breaches > CROWD ? 3 : breaches > MANY ? 4.5 : 6;
    const font = '11px system-ui, sans-serif';
    const axis = { stroke: c.text, font, grid: { stroke: c.grid, width: 1 }, ticks: { show: false }, gap: 6 };
    return {
      width: this.holder.clientWidth,
      height: this.height,
      ms: 1,
      padding: [10, 26, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: Boolean(this.select), y: false, setScale: false, dist: DRAG_MIN }, points: { size: 7, fill: c.ground, stroke: c.value, width: 2 } },
      scales: { x: { time: true }, y: { range: (_, low, high) => this.range(low, high) } },
      axes: [
        { ...axis, size: 24, space: 70, grid: { show: false }, values: (_, splits) => timeLabels(splits) },
        { ...axis, size: 62, space: 34, values: (_, splits) => splits.map((v) => value(v, this.unit)), ...(this.unit.base === 'bytes' ? { incrs: BYTE_STEPS } : {}) },
      ],
      series: [
        {},
        { stroke: c.value, width: 1.5, points: { show: false } },
        {
          stroke: c.breach, paths: () => null,
          // Without a rim in another colour: where many lie together, rims would cover the dots beneath them.
          points: { show: true, size, fill: c.breach, stroke: c.breach, width: 0.5 },
        },
      ],
      hooks: {
        drawClear: [(u) => this.under(u)],
        draw: [(u) => this.over(u)],
        setCursor: [(u) => this.hovered(u)],
        setSelect: [(u) => this.selected(u)],
      },
    };
  }

  /** The bounds in force always fit; the alert level, and bounds that are not used yet, only where they do not flatten the rest. */
  range(low, high) {
    const widest = this.band ? outermost(this.inView(this.band)) : this.data.bounds;
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

  /** What of a list, one for each sample, is shown. */
  inView(list) {
    if (this.zoomed === null) return list;
    const { min } = this.shown(this.zoomed);
    return list.slice(Math.min(this.data.samples.findIndex(([at]) => at >= min), list.length - 1));
  }

  /** Below the line. */
  under(u) {
    const c = colors();
    const { bounds, masked = [], level_since: level, samples } = this.data;
    // What is before the present level is not learned from either.
    const before = level && samples.length ? [[samples[0][0], level]] : [];
    paint.shade(u, c.masked, [...masked, ...before]);
    if (this.band) paint.band(u, c, this.band);
    else if (bounds ?? this.tentative) paint.bounds(u, c, bounds ?? this.tentative, Boolean(bounds));
  }

  /** Above it. */
  over(u) {
    const c = colors();
    const { alerts = [], verdicts = [], level_since: level } = this.data;
    paint.strip(u, c.alert, alerts);
    if (level) paint.moment(u, c.level, level, { dash: [4, 3], word: 'level since', row: 1 });
    for (const { at, until, word } of verdicts) {
      paint.moment(u, c.verdict, at, { word });
      if (until) paint.moment(u, c.verdict, until, { dash: [2, 2] });
    }
    if (Array.isArray(this.chosen)) {
      paint.shade(u, c.picked, [this.chosen]);
      this.chosen.forEach((at) => paint.moment(u, c.chosen, at));
    } else if (this.chosen !== null) {
      paint.moment(u, c.chosen, this.chosen);
    }
  }

  hovered(u) {
    const at = u.cursor.idx;
    const v = at === null || at === undefined ? null : u.data[1][at];
    this.hover(v === null || v === undefined ? null : `${clock(u.data[0][at])} · ${value(v, this.unit)}`);
  }

  selected(u) {
    const { left, width } = u.select;
    if (width < DRAG_MIN || !this.select) return;
    this.dragged = true;
    this.select(Math.round(u.posToVal(left, 'x')), Math.round(u.posToVal(left + width, 'x')));
    // The chosen time is drawn as such.
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  clicked() {
    const u = this.plot;
    const at = u.cursor.idx;
    const dragged = this.dragged;
    this.dragged = false;
    if (dragged || at === null || at === undefined) return;
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
  const of = (side, most) => band.reduce((found, pair) => (found === null || pair[side] === null ? null : most(found, pair[side])), band[0][side]);
  return { lower: of('lower', Math.min), upper: of('upper', Math.max), alert_lower: of('alert_lower', Math.min), alert_upper: of('alert_upper', Math.max) };
}

/** Times of day, and the day where one begins. */
function timeLabels(splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 60_000;
  const time = { hour: '2-digit', minute: '2-digit', ...(step < 60_000 ? { second: '2-digit' } : {}) };
  return splits.map((at) => {
    const then = new Date(at);
    const midnight = then.getHours() === 0 && then.getMinutes() === 0 && then.getSeconds() === 0;
    return step >= 86_400_000 || midnight ? then.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) : then.toLocaleTimeString('en-GB', time);
  });
}
