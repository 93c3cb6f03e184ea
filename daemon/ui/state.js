// The state: where the engine stands, on what evidence, how it got there, and the parameters in force.

import { get } from './api.js';
import { byId, el, table } from './dom.js';
import { clock, number, percent, sinceNow, span, words } from './format.js';

/** How many of the last transitions the timeline shows. */
const SHOWN = 60;

const MEANING = {
  cycle_latency: 'time a cycle took, over its interval',
  own_memory: 'own resident memory, over its limit',
  host_processor: 'share of the host’s processor in use',
  host_memory: 'share of the host’s memory in use',
  breach_share: 'share of series in breach, above its usual share',
  decision_quality: 'share of expectations that came true; low is bad',
  false_share: 'share of judged pages that were false',
};
const KINDS = Object.keys(MEANING);

const STATES = {
  healthy: 'Nothing presses: the loop runs at its ordinary pace.',
  optimizing: 'Learning work is waiting and is done at a higher rate.',
  degraded: 'Evidence is past a degraded limit: the loop does less.',
  critical: 'Evidence is past a critical limit: the loop does the least, often.',
  recovering: 'The limits are clear again: the loop returns step by step.',
};

export async function refreshPill() {
  const { data } = await get('state');
  pill(data);
  return data;
}

function pill({ state, since, forced_until }) {
  byId('state-pill').dataset.state = state;
  byId('state-word').textContent = state;
  byId('state-since').textContent = `${sinceNow(since)}${forced_until ? ', forced' : ''}`;
  byId('state-pill').title = `${STATES[state] ?? ''} Since ${clock(since)}.`;
  document.title = `${state} · homeostat`;
}

export async function refresh() {
  const [state, transitions, parameters] = await Promise.all([refreshPill(), get('transitions?limit=1000'), get('parameters')]);
  const moves = transitions.data.toSorted((a, b) => new Date(a.at) - new Date(b.at)).slice(-SHOWN);
  now(state);
  timeline(moves, state);
  evidence(state.evidence);
  parameterList(parameters.data);
  byId('transitions').replaceChildren(table(
    [{ title: 'Time', class: 'num' }, { title: 'From' }, { title: 'To' }, { title: 'Cause', class: 'text' }],
    moves.toReversed().slice(0, 20).map((m) => [clock(m.at), chip(m.from), chip(m.to), m.cause]),
    'No transition yet: the engine has been in one state since it first started.'));
}

const chip = (state) => el('span', { class: 'chip', 'data-state': state }, state);

/** Until when a state is waited out; none where it is not. */
function leaves({ state, leaves_at }) {
  if (!['degraded', 'critical', 'recovering'].includes(state)) return null;
  if (!leaves_at) return 'not known: some evidence is not behind the limit that holds it';
  const left = (new Date(leaves_at).getTime() - Date.now()) / 1000;
  return left > 0 ? `at ${clock(leaves_at)} (in ${span(Math.ceil(left))}) if nothing gets worse` : 'with the next cycle, if nothing gets worse';
}

function now(data) {
  const { state, since, forced_until } = data;
  const leaving = leaves(data);
  byId('state-now').replaceChildren(
    el('p', { class: 'state-big', 'data-state': state }, el('span', { class: 'dot', 'aria-hidden': 'true' }), state),
    el('p', { class: 'muted' }, STATES[state] ?? ''),
    el('dl', { class: 'facts' },
      el('div', {}, el('dt', {}, 'Since'), el('dd', {}, `${clock(since)} (${sinceNow(since)})`)),
      leaving ? el('div', {}, el('dt', {}, 'Leaves'), el('dd', {}, leaving)) : null,
      el('div', {}, el('dt', {}, 'Forced'), el('dd', {}, forced_until ? `by an operator until ${clock(forced_until)}` : 'no: decided from evidence'))));
}

/** One strip, a colour per state, widths by time. */
function timeline(moves, { state, since }) {
  const end = Date.now();
  const pieces = moves.map((m, at) => ({ state: m.to, from: new Date(m.at).getTime(), to: at + 1 < moves.length ? new Date(moves[at + 1].at).getTime() : end }));
  if (pieces.length === 0) pieces.push({ state, from: new Date(since).getTime(), to: end });
  const strip = el('div', { class: 'strip', role: 'img', 'aria-label': `States since ${clock(pieces[0].from)}: ${pieces.map((p) => `${p.state} for ${span((p.to - p.from) / 1000)}`).join(', ')}` },
    pieces.map((p) => {
      const piece = el('span', { 'data-state': p.state, title: `${p.state} for ${span((p.to - p.from) / 1000)}, from ${clock(p.from)}` });
      piece.style.flexGrow = Math.max(1, p.to - p.from);
      return piece;
    }));
  const shares = new Map();
  for (const p of pieces) shares.set(p.state, (shares.get(p.state) ?? 0) + p.to - p.from);
  byId('timeline').replaceChildren(strip,
    el('p', { class: 'strip-ends muted' }, el('span', {}, clock(pieces[0].from)), el('span', {}, 'now')),
    el('ul', { class: 'legend' }, Object.keys(STATES).map((name) =>
      el('li', { 'data-state': name }, el('span', { class: 'dot', 'aria-hidden': 'true' }), `${name} `, el('span', { class: 'muted' }, shares.has(name) ? span(shares.get(name) / 1000) : '–')))));
}

function evidence(list) {
  const known = new Map(list.map((e) => [e.name, e]));
  const names = [...KINDS, ...list.map((e) => e.name).filter((name) => !KINDS.includes(name))];
  byId('evidence').replaceChildren(el('ul', { class: 'evidence' }, names.map((name) => {
    const e = known.get(name);
    const absent = !e || e.value === null || e.value === undefined;
    const level = absent ? 'absent' : past(e, e.critical) ? 'critical' : past(e, e.degraded) ? 'degraded' : 'clear';
    return el('li', { 'data-level': level },
      el('div', { class: 'evidence-name' }, el('b', {}, words(name)), el('span', { class: 'muted' }, MEANING[name] ?? '')),
      el('div', { class: 'evidence-value' }, absent ? el('span', { class: 'muted' }, 'not known yet') : percent(e.value)),
      e && (e.degraded || e.critical) ? gauge(e, absent) : el('div'),
      el('div', { class: 'evidence-limits muted' }, e ? limits(e) : ''));
  })));
}

const lowIsBad = ({ degraded, critical }) => { const l = degraded ?? critical; return Boolean(l) && l.leave > l.enter; };
const past = (e, limit) => Boolean(limit) && (lowIsBad(e) ? e.value < limit.enter : e.value > limit.enter);

function limits({ degraded, critical }) {
  const one = (name, limit) => limit && el('span', {}, `${name} ${percent(limit.enter)}, left at ${percent(limit.leave)}`);
  return [one('degraded', degraded), degraded && critical ? el('br') : null, one('critical', critical)].filter(Boolean);
}

/** The value as a bar, each state's limit as a tick. */
function gauge(e, absent) {
  const ends = [e.degraded?.enter, e.critical?.enter].filter((v) => v !== undefined && v !== null);
  const full = lowIsBad(e) ? 1 : Math.max(...ends) * 1.15;
  const at = (v) => `${Math.min(100, Math.max(0, (v / full) * 100))}%`;
  const bar = el('div', { class: 'gauge', 'aria-hidden': 'true' });
  if (!absent) {
    const fill = el('span', { class: 'fill' });
    fill.style.width = at(e.value);
    bar.append(fill);
  }
  for (const [state, limit] of [['degraded', e.degraded], ['critical', e.critical]]) {
    if (!limit) continue;
    for (const side of ['enter', 'leave']) {
      const tick = el('span', { class: `tick ${side}`, 'data-state': state, title: `${state}: ${side === 'enter' ? 'entered' : 'left'} at ${percent(limit[side])}` });
      tick.style.left = at(limit[side]);
      bar.append(tick);
    }
  }
  return bar;
}

function parameterList(p) {
  const rows = [
    ['Monitoring interval', span(p.monitoring_interval_s), 'period of the cycle'],
    ['Analysis depth', `${number(p.analysis_depth)} samples`, 'read for trend and health'],
    ['Planning lookahead', span(p.planning_lookahead_s), 'how far trend and plan project'],
    ['Execution parallelism', number(p.execution_parallelism), 'batches of changes in one cycle'],
    ['Learning rate', number(p.learning_rate), 'how far one step moves'],
  ];
  byId('parameters').replaceChildren(el('dl', { class: 'tiles' }, rows.map(([name, v, why]) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, v), el('dd', { class: 'muted' }, why)))));
}
