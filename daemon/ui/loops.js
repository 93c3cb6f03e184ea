// The five feedback loops: what each heard and did, and whether it helps.

import { get } from './api.js';
import { byId, el, table } from './dom.js';
import { moved } from './explain.js';
import { clock, number, words } from './format.js';
import { seriesLink } from './link.js';

const SHOWN = 50;

const PURPOSE = {
  metrics_learning: 'metrics → learning → thresholds',
  performance_adaptation: 'performance → optimization → parameters',
  decision_quality: 'outcomes → quality → strategy',
  anomaly_feedback: 'verdicts → sensitivity → tuning',
  resource_optimization: 'resources → utilization → allocation',
};

export async function refresh() {
  const [loops, actions, signals] = await Promise.all([get('loops'), get(`actions?limit=${SHOWN}`), get(`signals?limit=${SHOWN}`)]);
  byId('loop-list').replaceChildren(table(
    [{ title: 'Loop' }, { title: 'Signals', class: 'num' }, { title: 'Actions', class: 'num' }, { title: 'Withheld', class: 'num' }, { title: 'Effectiveness', class: 'text' }, { title: 'Runs' }],
    loops.data.map((l) => [
      el('span', { class: 'loop' }, el('b', {}, words(l.loop)), el('span', { class: 'muted' }, PURPOSE[l.loop] ?? '')),
      number(l.signals), number(l.actions), number(l.withheld), effectiveness(l),
      el('span', { class: l.paused ? 'tag warn' : 'tag good' }, l.paused ? 'paused' : 'running'),
    ]), 'The daemon names no loops.'));
  byId('actions').replaceChildren(table(
    [{ title: 'Time', class: 'num' }, { title: 'Loop' }, { title: 'Series', class: 'name' }, { title: 'Parameter' }, { title: 'Old → new', class: 'num' }, { title: 'Reason', class: 'text' }, { title: 'Outcome' }],
    actions.data.map((a) => [clock(a.at), words(a.loop), a.series ? seriesLink(a.series) : '–', words(a.parameter).replace(':', ' of '), moved(a), a.reason, outcome(a.outcome)]),
    'No action yet: no loop has changed anything.'));
  byId('signals').replaceChildren(table(
    [{ title: 'Id', class: 'num' }, { title: 'Time', class: 'num' }, { title: 'Loop' }, { title: 'Source' }, { title: 'Value', class: 'num' }, { title: 'Series', class: 'name' }, { title: 'Verdict' }],
    signals.data.map((s) => [`#${s.id}`, clock(s.at), words(s.loop), words(s.source), number(s.value), s.series ? seriesLink(s.series) : '–', s.verdict ?? '–']),
    'No signal yet.'));
}

function effectiveness({ effectiveness: share, reading }) {
  if (share === null || share === undefined) return el('span', { class: 'muted' }, 'unknown: under 20 pairs');
  return el('span', { class: 'with-meter' }, el('meter', { min: 0, max: 1, value: share, 'aria-hidden': 'true' }), share.toFixed(2),
    el('span', { class: `tag ${{ helps: 'good', harms: 'warn' }[reading] ?? ''}` }, words(reading)));
}

function outcome(word) {
  if (!word) return el('span', { class: 'muted' }, 'awaited');
  return el('span', { class: `tag ${{ met: 'good', failed: 'warn' }[word] ?? ''}` }, word);
}
