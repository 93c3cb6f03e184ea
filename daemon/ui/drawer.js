// The drawer: all that is known of one series, in words and a picture, and what a person says of it. The address of the page names
// the series, so opening and closing are changes of the address.

import { advice, get } from './api.js';
import { byId, el, seriesName } from './dom.js';
import { explained, words } from './explain.js';
import { clock, unitOf, value } from './format.js';
import { Picture } from './picture.js';
import { seriesOfEvent } from './sentences.js';
import { Verdict } from './verdict.js';

/** The most samples that are asked for: a whole window. */
const SAMPLES = 20_000;
/** Without news, samples are read again after this long. */
const STALE_MS = 15_000;
/** News come in bursts; they are read once, this long after the first. */
const SETTLE_MS = 300;
const ACTIONS = 20;
const ALERTS = 50;

let open = null;
let closed = () => {};

/** One series in the drawer. */
class Open {
  constructor(name) {
    this.name = name;
    this.known = null;
    this.samples = null;
    this.readAt = 0;
    this.timer = null;
    this.reading = null;
    this.picture = null;
    this.verdict = new Verdict(name, { chosen: (about) => this.picture?.choose(about), sent: () => this.later() });
  }

  /** Reads everything, or only what is not stale. Two at a time would show the older answer last. */
  async read(all) {
    while (this.reading) await this.reading.catch(() => {});
    this.reading = this.fetch(all);
    try {
      await this.reading;
    } finally {
      this.reading = null;
    }
  }

  async fetch(all) {
    const of = `series=${encodeURIComponent(this.name)}`;
    const stale = all || Date.now() - this.readAt > STALE_MS;
    const [known, samples, actions, alerts] = await Promise.all([
      get(`explain?${of}`),
      stale ? get(`series/samples?${of}&limit=${SAMPLES}`) : null,
      get(`actions?${of}&limit=${ACTIONS}`),
      get(`events?${of}&kind=alerted&limit=${ALERTS}`),
    ]);
    if (stale) this.readAt = Date.now();
    if (open !== this) return;
    if (samples) this.samples = samples.data;
    this.known = { ...known.data, actions: actions.data, alerts: pairs(alerts.data) };
    this.render(Boolean(samples));
  }

  later() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (open === this) refresh(true);
    }, SETTLE_MS);
  }

  render(redrawn) {
    const { known, samples } = this;
    const unit = unitOf(this.name, known.kind);
    byId('drawer-problem').hidden = true;
    byId('drawer-body').hidden = false;
    heading(known, unit);
    byId('drawer-words').textContent = words(known, unit).join(' ');
    this.picture ??= new Picture(unit, { pick: (at) => this.verdict.pick(at), select: (from, until) => this.verdict.select(from, until) });
    if (redrawn) this.picture.draw(samples, known, this.verdict.about());
    this.verdict.take(known);
    explained(byId('explained'), known, unit);
  }

  leave() {
    clearTimeout(this.timer);
    this.picture?.destroy();
  }
}

function heading(known, unit) {
  const { last, in_force: bounds, alert_since: alert, forecast } = known;
  const breach = last && bounds && ((bounds.upper !== null && last.value > bounds.upper) || (bounds.lower !== null && last.value < bounds.lower));
  byId('drawer-last').replaceChildren(...[
    last ? el('b', {}, value(last.value, unit)) : el('b', {}, '–'),
    last && el('span', { class: 'muted', title: `last sample at ${clock(last.at)}` }, clock(last.at)),
    breach && el('span', { class: 'tag breach' }, 'breach'),
    alert && el('span', { class: 'tag breach' }, `alert since ${clock(alert)}`),
    forecast && el('span', { class: 'tag warn' }, `beyond its alert level at ${clock(forecast)}`),
  ].filter(Boolean));
}

/** Alerts from their onsets and ends, newest first: `{ from, until, value, why, pages }`; `until` null: it holds. Of one whose
 *  onset is no longer kept nothing can be said. */
function pairs(events) {
  const alerts = [];
  for (const { event } of events.toReversed()) {
    if (event.phase === 'onset') alerts.push({ from: event.at, until: null, value: event.value, why: event.why ?? null, bounds: event.bounds, pages: event.pages });
    else if (alerts.length && alerts.at(-1).until === null) alerts.at(-1).until = event.at;
  }
  return alerts.toReversed();
}

/** Reads again what the drawer shows. */
export async function refresh(all = false) {
  const asked = open;
  if (!asked) return;
  try {
    await asked.read(all);
  } catch (error) {
    if (open !== asked) return;
    byId('drawer-problem').textContent = error.status === 404
      ? `No series of this name is known. It may have been forgotten, or its name may be another one: ${asked.name}` : advice(error);
    byId('drawer-problem').hidden = false;
    if (error.status === 404) byId('drawer-body').hidden = true;
    if (error.status === undefined) throw error;
  }
}

/** Opens the drawer on a series, or closes it. `judged`: the moment that a person is asked about, in Unix milliseconds. */
export function show(name, judged = null) {
  if ((open?.name ?? null) === name) {
    if (open && judged !== null) open.verdict.ask(judged);
    return;
  }
  open?.leave();
  const dialog = byId('drawer');
  if (name === null) {
    open = null;
    if (dialog.open) dialog.close();
    return;
  }
  open = new Open(name);
  byId('drawer-name').replaceChildren(...seriesName(name));
  byId('drawer-last').replaceChildren();
  byId('drawer-problem').textContent = 'Reading …';
  byId('drawer-problem').hidden = false;
  byId('drawer-body').hidden = true;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  const asked = open;
  refresh(true).then(() => {
    // The form shows once the series is known.
    if (judged !== null && open === asked) asked.verdict.ask(judged);
  });
}

/** Something happened; it may be about the series that is shown. */
export function hear(event) {
  if (open && seriesOfEvent(event) === open.name) open.later();
}

/** Light and dark changed. */
export function redraw() {
  if (open?.picture && open.samples) open.picture.redraw(open.samples, open.known, open.verdict.about());
}

/** `onClose()`: the drawer was closed by a person. */
export function start(onClose) {
  closed = onClose;
  const dialog = byId('drawer');
  byId('drawer-close').addEventListener('click', () => dialog.close());
  // A click beside the drawer lands on the dialog itself.
  dialog.addEventListener('click', (click) => { if (click.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => {
    if (open === null) return;
    open.leave();
    open = null;
    closed();
  });
}
