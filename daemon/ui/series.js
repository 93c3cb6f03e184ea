// The list of series: one card each, with chart, threshold, reasoning and verdicts.
// Every card is there from the list; only what is on screen fetches samples and draws. What is held and not watched, such
// as the buckets of histograms, is a name behind one line for all, until somebody asks for its card.

import { advice, banner, get, post } from './api.js';
import { Chart } from './chart.js';
import { byId, el, seriesName } from './dom.js';
import { clock, number, plural, range, sigmas, sinceNow, span, unitOf, value } from './format.js';
import { seriesLink } from './link.js';

/** How many of the last samples a chart shows. */
const SAMPLES_SHOWN = 600;
/** How many breaches the choice of a moment offers. */
const BREACHES_OFFERED = 30;
/** Charts fetched at the same time: the daemon has better things to do. */
const FETCHES = 4;
const STATISTICS = ['count', 'mean', 'median', 'std_dev', 'min', 'max', 'p25', 'p75', 'p90', 'p95', 'p99', 'iqr'];

/** What series of a kind are called where they are counted: one, many. */
const COUNTED = { histogram: ['histogram bucket', 'histogram buckets'], info: ['info', 'info'] };

const cards = new Map();
let more = false;
let loaded = false;

class Card {
  constructor(row) {
    this.name = row.series;
    this.row = row;
    this.threshold = null;
    this.samples = null;
    this.chart = null;
    this.visible = false;
    /** Somebody asked for the card of a series that is not watched. */
    this.opened = false;
    this.fetching = false;
    /** The moment the next verdict is about, Unix milliseconds; null: the latest breach. */
    this.at = null;
    /** The last verdict sent: `{ id, before, after }`. */
    this.sent = null;
    this.failed = null;
    this.root = el('article', { class: 'card' }, ...this.heading());
    this.root.card = this;
  }

  heading() {
    const at = this.name.indexOf('{');
    const metric = at < 0 ? this.name : this.name.slice(0, at);
    this.last = el('p', { class: 'last' });
    this.plot = el('div', { class: 'chart', 'data-series': this.name, role: 'img', 'aria-label': `Chart of ${this.name}` });
    this.readout = el('p', { class: 'readout', 'aria-hidden': 'true', hidden: true });
    return [
      el('header', {},
        el('h3', {}, seriesLink(this.name, ...seriesName(metric || this.name), at > 0 && el('span', { class: 'labels' }, el('wbr'), seriesName(this.name.slice(at))))),
        this.last),
      el('div', { class: 'chart-box' }, this.plot, this.readout),
    ];
  }

  /** What only cards on screen need, made once. */
  body() {
    if (this.facts) return;
    this.progress = el('div', { class: 'progress', hidden: true });
    this.facts = el('dl', { class: 'facts' });
    this.reasoning = el('p', { class: 'reasoning' });
    this.statistics = el('dl', { class: 'facts small' });
    this.details = el('details', { hidden: true }, el('summary', {}, 'What the window says'), this.statistics);
    this.choice = el('select', { onchange: (e) => this.choose(e.target.value === '' ? null : Number(e.target.value)) });
    this.buttons = [['true', 'True', 'It mattered'], ['false', 'False', 'It did not matter: be less sensitive'], ['missed', 'Missed', 'It mattered and nothing was said: be more sensitive']]
      .map(([verdict, word, title]) => el('button', { type: 'button', class: `verdict ${verdict}`, title, 'data-verdict': verdict, 'aria-label': `${word}: ${title}, ${this.name}`, onclick: () => this.send(verdict) }, word));
    this.result = el('p', { class: 'result', role: 'status' });
    this.root.append(this.progress, this.facts, this.reasoning, this.details,
      el('div', { class: 'verdicts', role: 'group', 'aria-label': `Verdict on ${this.name}` },
        el('label', {}, el('span', { class: 'sr' }, 'The verdict is about'), this.choice),
        el('span', { class: 'buttons' }, this.buttons)),
      this.result);
    this.choices();
  }

  /** Bounds as they stand now: those that came with the samples are at least as new as the list's. */
  get bounds() {
    return this.samples?.bounds ?? this.threshold;
  }

  /** A name in the list of what is held, and no card. */
  get folded() {
    return !this.row.watched && !this.opened;
  }

  get unit() {
    return unitOf(this.name, this.row.kind);
  }

  take(row, threshold) {
    this.row = row;
    if (this.sent && this.sent.after === null && threshold && this.sent.before !== null && threshold.sensitivity !== this.sent.before) {
      this.sent.after = threshold.sensitivity;
    }
    this.threshold = threshold;
    if (!threshold && this.samples) this.samples.bounds = null;
    this.render();
  }

  /** A loop moved this series' sensitivity. */
  moved({ from, to }) {
    if (this.sent && this.sent.after === null) Object.assign(this.sent, { before: this.sent.before ?? from, after: to });
    this.render();
  }

  render() {
    const { row, threshold, bounds } = this;
    const { plot } = this;
    plot.dataset.samples = row.samples;
    for (const side of ['lower', 'upper']) {
      const bound = bounds?.[side];
      if (bound === null || bound === undefined) delete plot.dataset[side];
      else plot.dataset[side] = bound;
    }
    const last = row.last;
    const breach = last && threshold?.active && ((threshold.upper !== null && last.value > threshold.upper) || (threshold.lower !== null && last.value < threshold.lower));
    this.root.classList.toggle('in-breach', Boolean(breach));
    this.last.replaceChildren(last ? el('b', {}, value(last.value, this.unit)) : el('b', {}, '–'),
      breach ? el('span', { class: 'tag breach' }, 'breach') : el('span', { class: 'muted', title: last ? `last sample at ${clock(last.at)}` : '' }, last ? clock(last.at) : 'no sample'));
    if (this.facts) this.renderBody();
  }

  renderBody() {
    const { row, threshold, unit } = this;
    plotLabel(this);
    const wanted = this.samples?.min_data_points;
    const learning = !threshold && row.watched && wanted && row.samples < wanted;
    this.progress.hidden = !learning;
    if (learning) {
      this.progress.replaceChildren(
        el('progress', { max: wanted, value: row.samples, 'aria-label': 'Samples until bounds are learned' }),
        el('span', {}, `${number(row.samples)} of ${plural(wanted, 'sample')}`));
    }
    const strategy = threshold && threshold.strategy !== row.strategy ? `${row.strategy} › ${threshold.strategy}` : row.strategy;
    const facts = [['Kind', row.kind], ['Strategy', strategy]];
    if (threshold) {
      const bounds = range(threshold.lower, threshold.upper, unit);
      facts.push(['Confidence', confidence(threshold)], ['Sensitivity', sigmas(threshold.sensitivity)], ['Bounds', threshold.rhythm ? `${bounds} now, ${threshold.rhythm}` : bounds]);
      if (row.strategy !== 'auto' && threshold.alert_lower !== undefined && (threshold.alert_lower !== null || threshold.alert_upper !== null)) {
        facts.push(['Alert outside', range(threshold.alert_lower, threshold.alert_upper, unit)]);
      }
    }
    facts.push(['Samples', row.span_s ? `${number(row.samples)} in ${span(row.span_s)}` : number(row.samples)]);
    if (threshold) facts.push(['Breaches', number(row.breaches)]);
    if (row.watched && row.budget_per_week !== null) {
      facts.push(['Alerts a week', `${row.alerts_per_week === null ? 'not known yet' : number(row.alerts_per_week)}; ${number(row.budget_per_week)} asked`]);
    }
    this.facts.replaceChildren(...facts.map(([term, detail]) => el('div', {}, el('dt', {}, term), el('dd', {}, detail))));
    this.reasoning.textContent = threshold ? threshold.reasoning
      : !row.watched ? `Held, not watched: a series of kind ${row.kind} gets no bounds unless asked for.`
      : learning ? 'Bounds are learned as soon as there are enough samples.'
      : 'No bounds yet; they are learned in one of the next cycles.';
    this.details.hidden = !threshold;
    if (threshold) {
      const s = threshold.supporting;
      this.statistics.replaceChildren(
        ...STATISTICS.map((key) => el('div', {}, el('dt', {}, key.replace('_', ' ')), el('dd', {}, key === 'count' ? number(s[key]) : value(s[key], unit)))),
        el('div', {}, el('dt', {}, 'trend'), el('dd', {}, s.trend)),
        el('div', {}, el('dt', {}, 'learned'), el('dd', { title: clock(threshold.learned_at) }, `${sinceNow(threshold.learned_at)} ago`)));
    }
    this.renderResult();
  }

  renderResult() {
    this.result.classList.toggle('failed', this.failed !== null);
    if (this.failed !== null) {
      this.result.textContent = this.failed;
    } else if (this.sent) {
      const { id, verdict, before, after } = this.sent;
      this.result.textContent = `“${verdict}” recorded as #${id}. ${after !== null ? `Sensitivity ${sigmas(before)} → ${sigmas(after)}.`
        : before !== null ? `Sensitivity ${sigmas(before)}; it moves by the next cycle.` : 'Sensitivity moves by the next cycle.'}`;
    }
  }

  /** The moments a verdict can be about: the latest breach, each breach in view, and what was clicked. */
  choices() {
    const breaches = (this.samples?.breaches ?? []).slice(-BREACHES_OFFERED).reverse();
    const offered = breaches.map((at) => [String(at), `breach at ${clock(at)}`]);
    if (this.at !== null && !breaches.includes(this.at)) offered.unshift([String(this.at), `moment ${clock(this.at)}`]);
    offered.unshift(['', breaches.length ? 'latest breach' : 'latest breach, else now']);
    const key = JSON.stringify(offered);
    if (this.offered !== key) {
      this.offered = key;
      this.choice.replaceChildren(...offered.map(([at, text]) => el('option', { value: at }, text)));
    }
    this.choice.value = this.at === null ? '' : String(this.at);
  }

  choose(at) {
    this.at = at;
    this.chart?.choose(at);
    this.choices();
  }

  async send(verdict) {
    this.failed = null;
    const before = this.threshold?.sensitivity ?? null;
    for (const button of this.buttons) button.disabled = true;
    try {
      const body = { series: this.name, verdict };
      if (this.at !== null) body.at = new Date(this.at).toISOString();
      // What moves before the answer comes is this verdict's doing too.
      this.sent = { id: '…', verdict, before, after: null };
      this.sent.id = (await post('feedback', body)).id;
      banner('store', null);
      this.choose(null);
    } catch (error) {
      this.sent = null;
      this.failed = `Not recorded. ${advice(error)}`;
      if (error.status === 507) banner('store', advice(error));
    }
    for (const button of this.buttons) button.disabled = false;
    this.render();
  }

  async refresh() {
    if (this.fetching) return;
    this.fetching = true;
    try {
      const { data } = await get(`series/samples?series=${encodeURIComponent(this.name)}&limit=${SAMPLES_SHOWN}`);
      this.samples = data;
      if (!this.visible) return;
      this.body();
      this.choices();
      this.draw();
      this.render();
    } finally {
      this.fetching = false;
    }
  }

  draw() {
    if (!this.samples || this.samples.samples.length === 0) return;
    this.chart ??= new Chart(this.plot, this.unit, {
      pick: (at) => this.choose(at),
      hover: (text) => {
        this.readout.hidden = text === null;
        if (text !== null) this.readout.textContent = text;
      },
    });
    // Bounds that are not used yet are shown too, less loudly.
    this.chart.draw(this.samples, this.samples.bounds ? null : this.threshold, this.at);
  }

  leave() {
    this.visible = false;
    this.chart?.destroy();
    this.chart = null;
  }

  /** Off the page. */
  remove() {
    seen.unobserve(this.root);
    this.leave();
    this.root.remove();
  }
}

function confidence({ confidence: c, active }) {
  const meter = el('meter', { min: 0, max: 1, low: 0.5, high: 0.8, optimum: 1, value: c, 'aria-hidden': 'true' });
  return el('span', { class: 'with-meter' }, meter, c.toFixed(2),
    !active && el('span', { class: 'tag', title: 'The confidence is too low: these bounds are not used yet' }, 'not used yet'));
}

function plotLabel({ plot, row, threshold, unit, samples }) {
  const parts = [`Chart of ${row.series}`, row.last ? `last value ${value(row.last.value, unit)}` : 'no sample yet'];
  if (threshold) parts.push(`bounds ${range(threshold.lower, threshold.upper, unit)}`);
  if (samples?.breaches.length) parts.push(`${plural(samples.breaches.length, 'breach', 'breaches')} in view`);
  plot.setAttribute('aria-label', parts.join(', '));
}

// Charts are made a little before they come into view and given back when they are well out of it.
const seen = new IntersectionObserver((entries) => {
  const fresh = [];
  for (const { target, isIntersecting } of entries) {
    const card = target.card;
    if (isIntersecting && !card.visible) {
      card.visible = true;
      card.body();
      card.render();
      card.draw();
      fresh.push(card);
    } else if (!isIntersecting && card.visible) {
      card.leave();
    }
  }
  if (fresh.length) fetchCharts(fresh).catch(report);
}, { rootMargin: '250px' });

async function fetchCharts(wanted) {
  const queue = [...wanted];
  const worker = async () => {
    for (let card = queue.shift(); card; card = queue.shift()) {
      // A series may be forgotten between list and chart.
      await card.refresh().catch((error) => { if (error.status !== 404) throw error; });
    }
  };
  await Promise.all(Array.from({ length: FETCHES }, worker));
}

let report = () => {};

/** Lists first, then the charts on screen. */
export async function refresh() {
  const [series, thresholds] = await Promise.all([get('series?limit=1000'), get('thresholds?limit=1000')]);
  const learned = new Map(thresholds.data.map((t) => [t.series, t]));
  const listed = new Set();
  more = Boolean(series.next);
  let changed = !loaded;
  loaded = true;
  for (const row of series.data) {
    listed.add(row.series);
    let card = cards.get(row.series);
    if (!card) {
      card = new Card(row);
      cards.set(row.series, card);
      changed = true;
    }
    changed ||= card.row.watched !== row.watched;
    card.take(row, learned.get(row.series) ?? null);
  }
  for (const [name, card] of cards) {
    if (listed.has(name)) continue;
    card.remove();
    cards.delete(name);
    changed = true;
  }
  if (changed || byId('f-order').value !== 'name') arrange();
  options(byId('f-kind'), new Set([...cards.values()].map((c) => c.row.kind)));
  options(byId('f-strategy'), new Set([...cards.values()].flatMap((c) => [c.row.strategy, c.threshold?.strategy]).filter(Boolean)));
  filter();
  await fetchCharts([...cards.values()].filter((card) => card.visible));
}

function options(select, values) {
  const have = new Set([...select.options].map((o) => o.value));
  for (const v of [...values].sort()) if (!have.has(v)) select.append(el('option', { value: v }, v));
}

const ORDERS = {
  name: () => 0,
  breaches: (a, b) => (b.row.breaches ?? 0) - (a.row.breaches ?? 0),
  confidence: (a, b) => (a.threshold?.confidence ?? 2) - (b.threshold?.confidence ?? 2),
};

/** First what was asked for though it is not watched, then as chosen, then by name. Cards already in place are not touched. */
function arrange() {
  const order = ORDERS[byId('f-order').value];
  for (const card of cards.values()) if (card.folded) card.remove();
  const sorted = [...cards.values()].filter((card) => !card.folded).sort((a, b) =>
    (a.row.watched - b.row.watched) || order(a, b) || (a.name < b.name ? -1 : 1));
  const holder = byId('cards');
  sorted.forEach((card, at) => {
    if (holder.children[at] === card.root) return;
    holder.insertBefore(card.root, holder.children[at] ?? null);
  });
  for (const card of sorted) seen.observe(card.root);
}

function filter() {
  const terms = byId('f-text').value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = byId('f-kind').value, strategy = byId('f-strategy').value, level = byId('f-confidence').value;
  const held = [];
  let shown = 0, learned = 0, breach = 0;
  for (const card of cards.values()) {
    const { root, name, row, threshold } = card;
    const confident = level === '' || (level === 'none' ? !threshold : threshold && (level === 'under' ? threshold.confidence < 0.5 : threshold.confidence >= Number(level)));
    const text = name.toLowerCase();
    const fits = terms.every((term) => text.includes(term)) && (!kind || row.kind === kind) &&
      (!strategy || row.strategy === strategy || threshold?.strategy === strategy) && confident;
    root.hidden = !fits;
    if (fits && !row.watched) held.push(card);
    shown += fits;
    learned += Boolean(threshold);
    breach += root.classList.contains('in-breach');
  }
  hold(held);
  byId('count-series').textContent = cards.size ? cards.size.toLocaleString('en') + (more ? '+' : '') : '';
  const parts = [shown === cards.size ? plural(shown, 'series', 'series') : `${number(shown)} of ${plural(cards.size, 'series', 'series')}`, `${number(learned)} with bounds`, `${number(breach)} in breach now`];
  if (more) parts.push('only the first 1,000 are listed here; the API has them all');
  byId('series-summary').textContent = !loaded ? '' : cards.size === 0 ? 'No series yet. The first samples arrive within a second or two of the start.' : parts.join(' · ');
}

/** What is held and not watched: one line that counts it by kind, and behind it the names. */
function hold(held) {
  byId('held').hidden = held.length === 0;
  const kinds = new Map();
  for (const card of held) kinds.set(card.row.kind, [...(kinds.get(card.row.kind) ?? []), card]);
  const groups = [...kinds].sort(([a, of], [b, than]) => than.length - of.length || (a < b ? -1 : 1))
    .map(([kind, of]) => ({ title: plural(of.length, ...(COUNTED[kind] ?? [kind])), of: of.sort((a, b) => (a.name < b.name ? -1 : 1)) }));
  byId('held-line').textContent = `${plural(held.length, 'series is', 'series are')} held, not watched: ${groups.map(({ title }) => title).join(', ')}`;
  if (!byId('held').open) return;
  // A list that stays the same is not touched: somebody may be reading it.
  const key = JSON.stringify(groups.map(({ title, of }) => [title, of.map(({ name, opened }) => [name, opened])]));
  const list = byId('held-names');
  if (list.key === key) return;
  list.key = key;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.opens : null;
  list.replaceChildren(...groups.flatMap(({ title, of }) => [
    el('h3', {}, title),
    el('ul', {}, of.map((card) => el('li', {}, el('button', {
      type: 'button', 'data-opens': card.name, 'aria-pressed': String(card.opened), title: card.opened ? 'Fold its card' : 'Show its card', onclick: () => open(card, !card.opened),
    }, seriesName(card.name)))))]));
  if (focused) [...list.querySelectorAll('button')].find((button) => button.dataset.opens === focused)?.focus();
}

function open(card, opened) {
  card.opened = opened;
  arrange();
  filter();
}

/** An event may be about a card; whether the lists should be read again. */
export function hear(event) {
  const name = event.kind === 'adjusted' ? event.adjustment.target.sensitivity : null;
  if (name) cards.get(name)?.moved(event.adjustment);
  return ['threshold_learned', 'series_added', 'series_forgotten', 'alerted', 'adjusted'].includes(event.kind);
}

/** Light and dark changed: charts take their colours when they are made. */
export function redraw() {
  for (const card of cards.values()) {
    if (!card.chart) continue;
    card.chart.destroy();
    card.chart = null;
    card.draw();
  }
}

export function start(onError) {
  report = onError;
  const form = byId('series-filter');
  form.addEventListener('submit', (e) => e.preventDefault());
  form.addEventListener('input', filter);
  byId('held').addEventListener('toggle', filter);
  byId('f-order').addEventListener('change', () => { arrange(); filter(); });
}
