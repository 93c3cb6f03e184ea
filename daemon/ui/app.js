// Ties the parts together: which section shows, when what is read again, light and dark.

import { advice, banner } from './api.js';
import { forgetColors } from './chart.js';
import { byId } from './dom.js';
import * as drawer from './drawer.js';
import * as events from './events.js';
import { span } from './format.js';
import { judgedOf, seriesOf } from './link.js';
import * as loops from './loops.js';
import * as proposals from './proposals.js';
import * as series from './series.js';
import * as state from './state.js';

const POLL_MS = 5000;
/** Events come in bursts, one burst per cycle: what follows from them is read once, this long after the first. */
const SETTLE_MS = 250;
const VIEWS = ['series', 'state', 'loops', 'events'];

// On a wide screen events stand beside every section; on a narrow one they are a section of their own. The style sheet has
// the same width.
const wide = matchMedia('(min-width: 1021px)');

/** The section behind the drawer, whose address names none. */
let behind = 'series';

function view() {
  const wanted = seriesOf(location.hash) === null ? location.hash.slice(1) : behind;
  if (!VIEWS.includes(wanted) || (wanted === 'events' && wide.matches)) return 'series';
  return wanted;
}

function show() {
  const current = view();
  behind = current;
  drawer.show(seriesOf(location.hash), judgedOf(location.hash));
  document.body.dataset.view = current;
  for (const name of ['series', 'state', 'loops']) byId(`view-${name}`).hidden = name !== current;
  for (const link of document.querySelectorAll('.tabs a')) {
    if (link.dataset.view === current) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  later('view');
}

/** Runs a reading; a failure becomes a banner, a success takes it away. */
async function attempt(read) {
  try {
    await read();
    banner('daemon', null);
  } catch (error) {
    console.error(error);
    banner('daemon', advice(error));
  }
}

const due = new Set();
let timer = null;

/** Soon: reads `lists`, `state` or `view` again, once for many events. */
function later(what) {
  due.add(what);
  timer ??= setTimeout(() => {
    timer = null;
    const wanted = new Set(due);
    due.clear();
    attempt(async () => {
      const current = view();
      if (wanted.has('lists')) await series.refresh();
      if (wanted.has('proposals')) await proposals.refresh();
      if (current === 'state') await state.refresh();
      else if (wanted.has('state')) await state.refreshPill();
      if (current === 'loops') await loops.refresh();
    });
  }, SETTLE_MS);
}

function hear(event) {
  if (series.hear(event)) later('lists');
  drawer.hear(event);
  if (proposals.hear(event)) later('proposals');
  if (event.kind === 'state_changed' || event.kind === 'cycle_completed') later('state');
  else later('view');
}

let liveSince = null;

function connected(word) {
  if (word === 'live') {
    liveSince = Date.now();
    later('state');
    later('lists');
    later('proposals');
  } else {
    liveSince = null;
  }
  byId('connection').dataset.connection = word;
  clockwork();
}

function clockwork() {
  const word = byId('connection').dataset.connection;
  byId('connection-word').textContent = liveSince === null ? word : `live ${span(Math.round((Date.now() - liveSince) / 1000))}`;
}

function theme() {
  const root = document.documentElement;
  const prefers = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : prefers.matches);
  const button = byId('theme');
  const apply = () => {
    const text = `Change to ${dark() ? 'light' : 'dark'} colours`;
    button.setAttribute('aria-label', text);
    button.title = text;
    forgetColors();
    series.redraw();
    drawer.redraw();
  };
  button.addEventListener('click', () => {
    root.dataset.theme = dark() ? 'light' : 'dark';
    try { localStorage.setItem('homeostat-theme', root.dataset.theme); } catch { /* not remembered, then */ }
    apply();
  });
  prefers.addEventListener('change', apply);
  apply();
}

function poll() {
  if (document.hidden) return;
  attempt(async () => {
    if (view() === 'series') await series.refresh();
    await drawer.refresh();
    // Without the stream nothing tells us to look.
    if (liveSince === null) await Promise.all([state.refreshPill(), proposals.refresh()]);
  });
}

series.start((error) => attempt(() => { throw error; }));
drawer.start(() => {
  // No new entry in the history: going back from here leads to where the drawer was opened.
  history.replaceState(null, '', `#${behind}`);
  show();
});
theme();
show();
addEventListener('hashchange', show);
// The fragment names the section: a link to a place within it would leave it.
document.querySelector('.skip').addEventListener('click', (click) => {
  click.preventDefault();
  (view() === 'events' ? byId('event-list') : byId('main')).focus();
});
wide.addEventListener('change', show);
document.addEventListener('visibilitychange', () => { if (!document.hidden) { poll(); later('state'); } });
events.start({ hear, connected });
attempt(async () => { await Promise.all([series.refresh(), state.refreshPill(), proposals.refresh()]); });
setInterval(poll, POLL_MS);
setInterval(clockwork, 1000);
