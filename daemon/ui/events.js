// The live stream of events, newest first.

import { get } from './api.js';
import { byId, el } from './dom.js';
import { clock } from './format.js';
import { seriesLink } from './link.js';
import { KINDS, sentence } from './sentences.js';

/** How many events the page keeps, and how many of them it shows at once. */
const KEPT = 1000;
const SHOWN = 250;
/** The browser reconnects by itself unless the answer was an error; then we do, after this long. */
const RETRY_MS = 5000;

/** Newest first. */
let kept = [];
let paused = false;
let waiting = 0;
let source = null;
let hear = () => {};
let connected = () => {};

/** What every cycle brings, and would drown the rest: cycles, measurements, and what became of a change that another replaced. */
function routine(event) {
  return event.kind === 'cycle_completed' || event.kind === 'effect_measured' || (event.kind === 'signalled' && !event.signal.verdict) ||
    (event.kind === 'change_settled' && event.outcome.verification === 'superseded');
}

function fits(event) {
  const wanted = byId('e-kind').value;
  return wanted === '' || (wanted === 'notable' ? !routine(event) : event.kind === wanted);
}

function item({ seq, at, event }) {
  const { series, text, tone } = sentence(event);
  return el('li', { 'data-tone': tone, 'data-seq': seq },
    el('time', { datetime: at, title: `event ${seq}` }, clock(at)),
    el('span', {}, series && seriesLink(series), series ? ' ' : '', text));
}

function render() {
  const shown = kept.filter((stored) => fits(stored.event)).slice(0, SHOWN);
  byId('event-list').replaceChildren(...shown.map(item));
  byId('e-empty').hidden = shown.length > 0;
}

/** Puts an event in its place by number; says whether it was new. */
function keep(stored) {
  let at = 0;
  while (at < kept.length && kept[at].seq > stored.seq) at += 1;
  if (kept[at]?.seq === stored.seq) return null;
  kept.splice(at, 0, stored);
  kept.length = Math.min(kept.length, KEPT);
  return at;
}

function arrived(message) {
  const stored = JSON.parse(message.data);
  const at = keep(stored);
  if (at === null) return;
  hear(stored.event);
  if (paused) {
    waiting += fits(stored.event);
    byId('e-pause').textContent = waiting ? `Resume (${waiting} new)` : 'Resume';
  } else if (at > 0) {
    render();
  } else if (fits(stored.event)) {
    const list = byId('event-list');
    list.prepend(item(stored));
    while (list.children.length > SHOWN) list.lastElementChild.remove();
    byId('e-empty').hidden = true;
  }
}

/** What was before the stream began, or while it was broken. */
async function past() {
  const { data } = await get('events?limit=250');
  for (const stored of data) keep(stored);
  if (!paused) render();
}

function connect() {
  source = new EventSource('/api/v1/events');
  source.onopen = () => {
    connected('live');
    past().catch(() => { /* the lists, asked for at the same time, say it in the banner */ });
  };
  source.onerror = () => {
    connected('reconnecting');
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
  source.onmessage = arrived;
  for (const kind of Object.keys(KINDS)) source.addEventListener(kind, arrived);
}

/** `hear(event)` for each new event, `connected(word)` as the stream comes and goes. */
export function start(listeners) {
  ({ hear, connected } = listeners);
  const select = byId('e-kind');
  for (const [kind, text] of Object.entries(KINDS)) select.append(el('option', { value: kind }, text));
  select.addEventListener('change', render);
  const pause = byId('e-pause');
  pause.addEventListener('click', () => {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    pause.textContent = paused ? 'Resume' : 'Pause';
    pause.title = paused ? 'The stream goes on; the list stands still' : '';
    waiting = 0;
    if (!paused) render();
  });
  connect();
}
