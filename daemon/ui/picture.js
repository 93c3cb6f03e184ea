// The picture of a drawer: a whole window with everything that is known of its times.

import { byId, el } from './dom.js';
import { Chart } from './chart.js';
import { plural, range, span, value } from './format.js';

const HEIGHT = 260;
/** Parts of a window that can be looked at, in seconds. */
const PARTS = [7 * 86_400, 86_400, 6 * 3600, 3600, 600];
/** Fewer samples than this make no picture. */
const SAMPLES_MIN = 10;
const WORDS = { true: 'true', false: 'false', missed: 'missed' };

export class Picture {
  /** `pick(at)` and `select(from, until)` are told what was clicked and what was dragged over, in Unix milliseconds. */
  constructor(unit, { pick, select }) {
    this.unit = unit;
    this.handlers = { pick, select };
    this.chart = null;
    this.part = null;
    this.offered = '';
  }

  draw(samples, known, chosen) {
    const holder = byId('picture');
    if (samples.samples.length === 0) {
      holder.replaceChildren(el('p', { class: 'empty' }, 'No sample yet.'));
      return;
    }
    if (!this.chart) {
      holder.replaceChildren();
      this.chart = new Chart(holder, this.unit, {
        ...this.handlers, height: HEIGHT, hover: (text) => { byId('picture-readout').textContent = text ?? ''; },
      });
    }
    const data = { ...samples, alerts: alertsOf(known), verdicts: verdictsOf(known) };
    this.ranges(samples.samples);
    this.chart.draw(data, samples.bounds ? null : known.threshold, chosen);
    holder.dataset.band = samples.bounds ? (samples.band ? 'periodic' : 'constant') : 'none';
    holder.setAttribute('aria-label', label(data, known, this.unit));
    legend(data, known);
  }

  choose(about) {
    this.chart?.choose(about);
  }

  redraw(samples, known, chosen) {
    this.chart?.destroy();
    this.chart = null;
    this.draw(samples, known, chosen);
    if (this.part !== null) this.chart?.zoom(this.part * 1000);
  }

  /** Buttons for the window and for those parts of it that hold something to look at. */
  ranges(samples) {
    const [first, last] = [samples[0][0], samples.at(-1)[0]];
    const holds = (part) => samples.length - samples.findIndex(([at]) => at >= last - part * 1000);
    const parts = PARTS.filter((part) => part * 1000 < last - first && holds(part) >= SAMPLES_MIN);
    if (this.part !== null && !parts.includes(this.part)) this.zoom(null);
    const key = `${parts} ${Math.round((last - first) / 60_000)}`;
    if (this.offered === key) return;
    this.offered = key;
    byId('picture-ranges').replaceChildren(...[null, ...parts].map((part) => el('button', {
      type: 'button', 'aria-pressed': String(part === this.part), 'data-part': part ?? 'all', onclick: () => this.zoom(part),
    }, part === null ? `all ${span(Math.round((last - first) / 1000))}` : `last ${span(part)}`)));
  }

  zoom(part) {
    this.part = part;
    this.chart?.zoom(part === null ? null : part * 1000);
    for (const button of byId('picture-ranges').children) button.setAttribute('aria-pressed', String(button.dataset.part === String(part ?? 'all')));
  }

  destroy() {
    this.chart?.destroy();
    byId('picture').replaceChildren();
    byId('picture-ranges').replaceChildren();
    byId('picture-readout').textContent = '';
  }
}

const time = (text) => new Date(text).getTime();

const alertsOf = (known) => known.alerts.map(({ from, until }) => [time(from), until === null ? null : time(until)]);

/** When what was said is about, where the daemon knows it. */
function verdictsOf(known) {
  return (known.latest_verdicts ?? []).flatMap(({ verdict, metadata }) => {
    const at = time(metadata?.at ?? '');
    const until = time(metadata?.until ?? '');
    return Number.isNaN(at) ? [] : [{ at, until: Number.isNaN(until) ? null : until, word: metadata.about === 'change_point' ? 'another since' : WORDS[verdict] ?? '' }];
  });
}

/** The picture in words, for who does not see it. */
function label({ samples, breaches, bounds, band, masked = [], alerts, level_since: level }, known, unit) {
  const values = samples.map(([, v]) => v);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  return [
    `Picture of ${plural(samples.length, 'sample')} over ${span(Math.round((samples.at(-1)[0] - samples[0][0]) / 1000))}, from ${value(low, unit)} to ${value(high, unit)}`,
    bounds ? `bounds ${range(bounds.lower, bounds.upper, unit)}${band ? ` now, ${known.threshold?.rhythm ?? 'changing with time'}` : ''}` : 'no bounds in force',
    `${plural(breaches.length, 'breach', 'breaches')}`, plural(alerts.length, 'alert'),
    masked.length > 0 && `${plural(masked.length, 'stretch', 'stretches')} not learned from`,
    level && `another level since ${new Date(level).toLocaleString('en-GB')}`,
  ].filter(Boolean).join(', ');
}

/** Only what is in the picture. */
function legend({ breaches, bounds, masked = [], alerts, verdicts, level_since: level }, known) {
  const shown = [
    ['value', 'value', true],
    ['band', known.threshold?.rhythm ? `bounds, ${known.threshold.rhythm}` : 'bounds', Boolean(bounds)],
    ['dotted', 'bounds not used yet', !bounds && Boolean(known.threshold)],
    ['level-alert', 'alert level', bounds && (bounds.alert_lower !== null || bounds.alert_upper !== null)],
    ['breach', plural(breaches.length, 'breach', 'breaches'), breaches.length > 0],
    ['alert', plural(alerts.length, 'alert'), alerts.length > 0],
    ['masked', 'not learned from', masked.length > 0 || Boolean(level)],
    ['shift', 'level shift', Boolean(level)],
    ['said', plural(verdicts.length, 'verdict'), verdicts.length > 0],
  ];
  byId('picture-legend').replaceChildren(...shown.filter(([, , is]) => is).map(([key, word]) => el('li', {}, el('span', { class: `key ${key}`, 'aria-hidden': 'true' }), word)));
}
