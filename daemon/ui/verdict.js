// The form of a verdict: of the latest breach, a moment, a period, or since when the series is another one.

import { advice, banner, post } from './api.js';
import { byId, el } from './dom.js';
import { clock, sigmas } from './format.js';

const VERDICTS = [
  ['true', 'True', 'It mattered'],
  ['false', 'False', 'It did not matter: be less sensitive'],
  ['missed', 'Missed', 'It mattered and nothing was said: be more sensitive'],
];

/** What can be said of a time since when the series is another one: nothing but that. */
const CHANGE = [['true', 'Another series since', 'What came before is forgotten']];

const HINTS = {
  latest: 'A click on the picture chooses a moment, a drag over it a period.',
  moment: 'Of the alert or breach that was then, or that should have been.',
  period: 'True and missed leave it out of what is learned; false has it learned as ordinary.',
  change: 'Nothing older than this is learned from any longer.',
};

/** A field of time is local and has no zone. */
function fieldOf(ms) {
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

const msOf = (text) => (text === '' ? null : new Date(text).getTime());

export class Verdict {
  /** `chosen(about)`: a time, two of them or null, in Unix milliseconds, as they are chosen; `sent()`: one was recorded. */
  constructor(name, { chosen, sent }) {
    this.name = name;
    this.tell = { chosen, sent };
    this.sent = null;
    this.sensitivity = null;
    this.now = Date.now();
    // What was picked on the picture, in milliseconds: a field of time has whole seconds only.
    this.exact = new Map();
    this.offer(VERDICTS);
    const form = byId('verdict-form');
    form.reset();
    // Enter in a field would have to choose a verdict.
    form.onsubmit = (event) => event.preventDefault();
    form.onchange = () => this.changed();
    this.result('');
    this.changed();
  }

  /** Buttons for what can be said; those that stand there already stay, and so does the focus. */
  offer(verdicts) {
    if (this.offered === verdicts) return;
    this.offered = verdicts;
    this.buttons = verdicts.map(([verdict, word, title]) => el('button', {
      type: 'button', class: `verdict ${verdict}`, title, 'data-verdict': verdict, 'aria-label': `${word}: ${title}`, onclick: () => this.send(verdict),
    }, word));
    byId('v-buttons').replaceChildren(...this.buttons);
  }

  /** What the daemon knows now: the sensitivity may have moved since a verdict. */
  take(known) {
    this.now = known.last ? new Date(known.last.at).getTime() : Date.now();
    this.sensitivity = known.sensitivity;
    if (this.sent && this.sent.after === null && this.sent.before !== known.sensitivity) this.sent.after = known.sensitivity;
    this.say();
  }

  /** Whether the alert at `at` mattered: a link from a page leads here. It asks; what is said is for a person to send. */
  ask(at) {
    this.pick(at);
    this.result(`Did the alert of ${clock(new Date(at).toISOString())} matter?`);
    byId('verdict-form').scrollIntoView({ block: 'center' });
    this.buttons[0].focus();
  }

  pick(at) {
    this.fill('moment', at);
  }

  select(from, until) {
    this.fill('period', from, until);
  }

  fill(kind, from, until = null) {
    byId('v-about').value = kind;
    for (const [id, ms] of [['v-from', from], ['v-until', until]]) {
      if (ms === null) continue;
      byId(id).value = fieldOf(ms);
      this.exact.set(byId(id).value, ms);
    }
    this.changed();
  }

  ms(id) {
    const text = byId(id).value;
    return this.exact.get(text) ?? msOf(text);
  }

  /** What the verdict would be about: null (the latest breach), a time, or two. */
  about() {
    const kind = byId('v-about').value;
    if (kind === 'latest') return null;
    const [from, until] = [this.ms('v-from'), this.ms('v-until')];
    return kind === 'period' ? (from === null || until === null ? from : [from, until]) : from;
  }

  changed() {
    const kind = byId('v-about').value;
    byId('v-from-label').hidden = kind === 'latest';
    byId('v-until-label').hidden = kind !== 'period';
    byId('v-from-word').textContent = { moment: 'At', period: 'From', change: 'Since' }[kind] ?? 'At';
    byId('v-hint').textContent = HINTS[kind];
    this.offer(kind === 'change' ? CHANGE : VERDICTS);
    if (kind !== 'latest' && byId('v-from').value === '') byId('v-from').value = fieldOf(this.now);
    if (kind === 'period' && byId('v-until').value === '') byId('v-until').value = fieldOf(this.now);
    this.tell.chosen(this.about());
  }

  async send(verdict) {
    const kind = byId('v-about').value;
    const body = { series: this.name, verdict };
    const iso = (ms) => new Date(ms).toISOString();
    if (kind !== 'latest') body.at = iso(this.ms('v-from') ?? this.now);
    if (kind === 'period') body.until = iso(this.ms('v-until') ?? this.now);
    if (kind === 'change') body.change_point = true;
    const comment = byId('v-comment').value.trim();
    if (comment) body.comment = comment;
    for (const button of this.buttons) button.disabled = true;
    try {
      // What moves before the answer comes is this verdict's doing too.
      this.sent = { id: '…', verdict, before: this.sensitivity, after: null };
      this.sent.id = (await post('feedback', body)).id;
      banner('store', null);
      byId('verdict-form').reset();
      this.exact.clear();
      this.changed();
      this.say();
      this.tell.sent();
    } catch (error) {
      this.sent = null;
      this.result(`Not recorded. ${advice(error)}`, true);
    }
    for (const button of this.buttons) button.disabled = false;
    this.buttons.find((button) => button.dataset.verdict === verdict)?.focus();
  }

  say() {
    if (!this.sent) return;
    const { id, verdict, before, after } = this.sent;
    this.result(`“${verdict}” recorded as #${id}. ${after === null ? `Sensitivity ${sigmas(before)}; what moves, moves by the next cycle.`
      : `Sensitivity ${sigmas(before)} → ${sigmas(after)}.`}`);
  }

  result(text, failed = false) {
    const line = byId('v-result');
    line.classList.toggle('failed', failed);
    if (line.textContent !== text) line.textContent = text;
  }
}
