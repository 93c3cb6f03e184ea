// Levels that shifted and stayed, and the question whether that is ordinary now: one entry for all series that shifted together.

import { advice, get, post } from './api.js';
import { byId, el } from './dom.js';
import { clock, plural, unitOf, value } from './format.js';
import { seriesLink } from './link.js';

/** Series of one proposal that are named. */
const NAMED = 20;

/** What was said of an answer that was refused, by proposal. */
const failed = new Map();
let open = [];

export async function refresh() {
  const now = (await get('proposals?open=true')).data;
  // A button that somebody is about to press, or that holds the focus, is not made anew without need.
  if (JSON.stringify(now) === JSON.stringify(open)) return;
  open = now;
  render();
}

/** Whether an event changes what is asked. */
export const hear = (event) => event.kind === 'level_shift_proposed' || event.kind === 'level_shift_settled';

function render() {
  byId('proposals').hidden = open.length === 0;
  byId('proposal-list').replaceChildren(...open.map(item));
}

function item(proposal) {
  const waiting = proposal.series.filter((one) => one.settled === null);
  const more = waiting.length - NAMED;
  const what = `proposal ${proposal.id}, ${plural(waiting.length, 'series', 'series')}`;
  const button = (answer, word, title) => el('button', { type: 'button', class: answer, title, 'data-answer': answer, 'aria-label': `${word}: ${title}, ${what}`, onclick: (click) => send(proposal.id, answer, click.target) }, word);
  return el('li', { class: 'proposal', 'data-proposal': proposal.id },
    el('p', {}, el('b', {}, `${plural(waiting.length, 'level', 'levels')} shifted`), ` at ${clock(proposal.since)} and stayed. Is that ordinary now?`,
      proposal.accepted_at && el('span', { class: 'muted' }, ` Without an answer it counts as that from ${clock(proposal.accepted_at)} on.`)),
    el('ul', {}, waiting.slice(0, NAMED).map(shifted), more > 0 && el('li', { class: 'muted' }, `and ${plural(more, 'more', 'more')}`)),
    el('p', { class: 'buttons', role: 'group', 'aria-label': `Answer to ${what}` },
      button('accept', 'Ordinary', 'since then they are other series'),
      button('refuse', 'Trouble', 'the level before stands again, nothing is learned until it is back')),
    failed.has(proposal.id) && el('p', { class: 'result failed', role: 'status' }, failed.get(proposal.id)));
}

function shifted(one) {
  const unit = unitOf(one.series);
  return el('li', {}, seriesLink(one.series), ` ${value(one.before, unit)} → ${value(one.after, unit)}`, one.owner && el('span', { class: 'muted' }, ` (${one.owner})`));
}

async function send(id, answer, pressed) {
  for (const button of pressed.parentNode.children) button.disabled = true;
  try {
    await post(`proposals/${id}`, { answer });
    failed.delete(id);
    await refresh();
  } catch (error) {
    failed.set(id, advice(error));
    render();
  }
}
