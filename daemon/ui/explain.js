// What is known of one series, part by part, as explain of the API has it. What this page does not know yet is shown as it comes.

import { el, table } from './dom.js';
import { clock, number, percent, plural, range, sigmas, sinceNow, span, value, words as spaced } from './format.js';
import { WHY } from './sentences.js';

const STATISTICS = ['count', 'mean', 'median', 'std_dev', 'min', 'max', 'p25', 'p75', 'p90', 'p95', 'p99', 'iqr'];

/** Fields of the answer that a part below shows, or that stand elsewhere in the drawer. */
const SHOWN = new Set(['series', 'kind', 'watched', 'histogram', 'strategy', 'chosen_strategy', 'window', 'fates', 'threshold', 'in_force', 'rivals', 'features',
  'verdicts', 'latest_verdicts', 'sensitivity', 'sensitivity_prior', 'trust', 'confidence', 'confidence_claims', 'confidence_rests_on', 'confidence_min',
  'confidence_would_change', 'last', 'last_breach', 'alert_since', 'forecast', 'tally', 'budget', 'pending', 'actions', 'alerts',
  'owner', 'during', 'proposal']);

const a = (word) => (/^[aeiou]/i.test(word) ? 'an' : 'a');

const MOMENT = /\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+Z/g;

/** Moments as a person reads them. */
const legible = (text) => text.replaceAll(MOMENT, (at) => clock(at));

/** Text with `names` in backticks set as such. */
const marked = (text) => legible(text).split(/`([^`]+)`/).map((part, at) => (at % 2 ? el('code', {}, part) : part)).filter((part) => part !== '');

/** How often something is: in weeks where it is rare. */
const rate = (perWeek) => (perWeek > 0 && perWeek < 0.95 ? `once in ${number(Number((1 / perWeek).toPrecision(2)))} weeks` : `${number(Number(perWeek.toPrecision(2)))} a week`);

/** The first things a person wants to know, in sentences. */
export function words(known, unit) {
  const { kind, strategy, chosen_strategy: chosen, window: w, threshold: t, alert_since: alert, forecast, budget } = known;
  const said = [];
  if (!known.watched) said.push(`${a(kind) === 'an' ? 'An' : 'A'} ${kind} that is held and not watched.`);
  else if (!t) said.push(`${a(kind) === 'an' ? 'An' : 'A'} ${kind} without bounds yet.`);
  else {
    const by = chosen && chosen !== strategy ? `${strategy} chose ${chosen} for its bounds` : `its bounds are by ${strategy}`;
    const usual = `${range(t.lower, t.upper, unit)}${t.rhythm ? ` now, ${t.rhythm}` : ''}`;
    said.push(`${a(kind) === 'an' ? 'An' : 'A'} ${kind}; ${by}: ${usual}${t.active ? '' : ' (not used yet)'}.`);
  }
  const left = [w.masked > 0 && `${plural(w.masked, 'sample')} of alerts`, w.set_aside > 0 && `${plural(w.set_aside, 'sample')} of deploys and maintenance`, w.level_since && `what came before ${clock(w.level_since)}, when its level shifted`].filter(Boolean);
  said.push(`Its window holds ${plural(w.samples, 'sample')}${w.span_s ? ` of ${span(Math.round(w.span_s))}` : ''}${w.used === null ? '' : `; ${w.used === w.samples ? 'all' : number(w.used)} were used`}${left.length ? `. Not learned from: ${left.join(', and ')}` : ''}.`);
  const less = { hourly: 'how the samples of each hour were distributed', faded: 'how its samples were distributed, older ones for less', bounds: 'how its samples were distributed, and bounds alone say what is an alert' }[w.tier];
  if (less) said.push(`Memory is short, so it is remembered ${less}.`);
  if (alert) said.push(`It is in alert since ${clock(alert)} (${sinceNow(alert)}).`);
  if (known.during) said.push(`${known.during.kind} until ${clock(known.during.until)}: ${known.during.name}.`.replace(/^./, (first) => first.toUpperCase()));
  const shift = shifted(known);
  if (shift) said.push(shift(unit));
  if (forecast) said.push(`If its trend goes on, it is beyond its alert level at ${clock(forecast)}.`);
  if (known.watched && budget?.per_week !== null && budget) {
    said.push(`Its budget of alerts is ${rate(budget.per_week)}${budget.alerts_per_week === null ? '' : `; lately there were ${budget.alerts_per_week === 0 ? 'none' : rate(budget.alerts_per_week)}, not counting what was true`}.`);
  }
  return said;
}

/** What is asked, or was said, about its level; null: nothing. */
function shifted({ series, proposal }) {
  const own = proposal?.series?.find((one) => one.series === series);
  if (!own) return null;
  return (unit) => {
    const others = proposal.series.length - 1;
    const what = `Its level shifted from ${value(own.before, unit)} to ${value(own.after, unit)} at ${clock(own.since)}${others ? `, with ${plural(others, 'other series', 'other series')}` : ''}`;
    if (own.settled) return `${what}; that was ${own.settled} (proposal ${proposal.id}).`;
    return `${what}, and stayed. Whether that is ordinary now is asked as proposal ${proposal.id}${proposal.accepted_at ? `; without an answer it counts as that from ${clock(proposal.accepted_at)} on` : ''}.`;
  };
}

/** Fills `holder` with the parts; what a person folded open stays open. */
export function explained(holder, known, unit) {
  const opened = new Set([...holder.querySelectorAll('details[open]')].map((details) => details.dataset.part));
  const focused = holder.contains(document.activeElement) ? document.activeElement.closest('details')?.dataset.part : null;
  holder.replaceChildren(...[
    facts(known, unit), confidence(known), rivals(known, unit), features(known), alerts(known, unit), feedback(known), claims(known),
    numbers(known, unit), fates(known), further(known),
  ].filter(Boolean));
  for (const details of holder.querySelectorAll('details')) {
    details.open = opened.has(details.dataset.part);
    if (details.dataset.part === focused) details.querySelector('summary').focus();
  }
}

const part = (name, title, ...children) => el('section', { 'data-part': name, 'aria-label': title }, el('h3', {}, title), ...children);

const fold = (name, title, ...children) => el('details', { 'data-part': name }, el('summary', {}, title), ...children);

const list = (pairs) => el('dl', { class: 'facts' }, pairs.filter(Boolean).map(([term, ...detail]) => el('div', {}, el('dt', {}, term), el('dd', {}, ...detail))));

/** A bar that is `share` (0 to 1) full; a tick where it counts. */
function bar(share, { tone = 'busy', tick = null } = {}) {
  const fill = el('span', { class: `fill ${tone}` });
  fill.style.width = `${Math.min(100, Math.max(0, share * 100))}%`;
  const holder = el('span', { class: 'bar', 'aria-hidden': 'true' }, fill);
  if (tick !== null) {
    const mark = el('span', { class: 'tick' });
    mark.style.left = `${tick * 100}%`;
    holder.append(mark);
  }
  return holder;
}

function facts(known, unit) {
  const { threshold: t, window: w, tally, budget, histogram } = known;
  const shared = budget && (budget.shared_by === null ? 'its own' : `shared by ${plural(budget.shared_by, 'series', 'series')}`);
  return part('facts', 'Facts', list([
    ['Kind', known.kind],
    known.owner && ['Owner', known.owner],
    ['Strategy', known.chosen_strategy && known.chosen_strategy !== known.strategy ? `${known.strategy} › ${known.chosen_strategy}` : known.strategy],
    t && ['Bounds', `${range(t.lower, t.upper, unit)}${t.rhythm ? ` now, ${t.rhythm}` : ''}`],
    t && (t.alert_lower !== null || t.alert_upper !== null) && ['Alert level', range(t.alert_lower, t.alert_upper, unit)],
    t && ['Learned', `${sinceNow(t.learned_at)} ago`],
    ['Window', `${plural(w.samples, 'sample')}${w.span_s ? ` in ${span(Math.round(w.span_s))}` : ''}`],
    ['Used', w.used === null ? 'nothing is learned yet' : number(w.used)],
    w.masked > 0 && ['Left out', `${plural(w.masked, 'sample')} of alerts`],
    w.level_since && ['Level since', clock(w.level_since)],
    tally && ['Breaches', tally.breach_share === null ? 'nothing judged yet' : `${number(tally.breached)} of ${number(tally.judged)} judged (${percent(tally.breach_share)}; ${percent(tally.expected_share)} wanted)`],
    budget && ['Budget asked', `${budget.asked}, ${shared}${budget.per_week === null ? '' : `: ${rate(budget.per_week)}`}`],
    budget && ['Realised', budget.alerts_per_week === null ? 'seen for under an hour' : budget.alerts_per_week === 0 ? 'none' : `${rate(budget.alerts_per_week)}, without what was true`],
    histogram && ['Histogram', `${histogram.derived ? 'made of' : 'bucket of'} ${histogram.buckets}, ${plural(histogram.buckets_held, 'bucket')}`],
  ]), t && el('p', { class: 'reasoning' }, legible(t.reasoning)));
}

function confidence(known) {
  const { confidence: c, confidence_claims: claim, confidence_rests_on: rests = [], confidence_would_change: changes = [] } = known;
  const meter = () => el('meter', { min: 0, max: 1, low: 0.5, high: 0.8, optimum: 1, value: c, 'aria-hidden': 'true' });
  const said = (sentences) => el('ul', { class: 'sentences' }, sentences.map((sentence) => el('li', {}, ...marked(sentence))));
  return part('confidence', 'Confidence',
    c === null ? el('p', {}, 'There is none yet.')
      : el('p', {}, el('span', { class: 'with-meter' }, meter(), el('b', {}, percent(c))), claim ? ' is the chance of this: ' : '', claim && el('span', {}, ...marked(claim.replace(/^That /, 'that ')))),
    c !== null && c < known.confidence_min && el('p', { class: 'muted' }, `Under ${percent(known.confidence_min)} bounds are not used.`),
    rests.length > 0 && el('h4', {}, 'It rests on'), rests.length > 0 && said(rests),
    changes.length > 0 && el('h4', {}, c === null ? 'What is missing' : 'What would change it'), changes.length > 0 && said(changes));
}

/** Shorter bars are better. */
function rivals({ rivals: all = [] }, unit) {
  if (all.length === 0) return null;
  const most = Math.max(...all.flatMap((r) => [r.loss ?? 0, r.loss_since ?? 0])) || 1;
  const cost = (loss, tone) => (loss === null ? el('span', { class: 'muted' }, 'not measured')
    : el('span', { class: 'with-bar' }, bar(loss / most, { tone }), value(loss, unit)));
  const order = all.toSorted((one, other) => other.chosen - one.chosen || (one.loss ?? Infinity) - (other.loss ?? Infinity));
  return part('rivals', 'Rivals',
    el('p', { class: 'muted' }, 'What the bounds of each strategy cost on samples it had not seen: when they were learned, and since. Less is better.'),
    table([{ title: 'Strategy' }, { title: 'Its bounds now', class: 'num' }, { title: 'Loss', class: 'text' }, { title: 'Since', class: 'text' }],
      order.map((r) => [
        el('span', {}, el('b', {}, r.strategy), r.chosen ? el('span', { class: 'tag good' }, 'chosen') : '', r.preference !== 1 ? el('span', { class: 'tag', title: 'weight on its loss; above 1 it is avoided' }, `× ${number(r.preference)}`) : ''),
        range(r.lower, r.upper, unit), cost(r.loss, r.chosen ? 'good' : 'quiet'),
        r.samples_since ? el('span', { title: `over ${plural(r.samples_since, 'sample')}` }, cost(r.loss_since, r.chosen ? 'good' : 'quiet')) : el('span', { class: 'muted' }, 'no sample yet'),
      ])));
}

const BILLION = 1e9;

/** One in so many: two digits are enough, and nobody counts beyond a billion. */
const oneIn = (count) => `${count > BILLION ? 'rarer than ' : ''}1 in ${Number(Math.min(count, BILLION).toPrecision(2)).toLocaleString('en')}`;

function features({ features: all = [] }) {
  if (all.length === 0) return null;
  const loudest = all.toSorted((one, other) => other.loudness - one.loudness);
  const scale = Math.max(1.25, ...all.map((f) => f.loudness));
  const speaks = loudest.filter((f) => f.one_in > 1.5);
  return part('features', 'What the detector sees in the newest sample',
    el('ul', { class: 'features' }, speaks.map((f) => el('li', { class: f.loudness >= 1 ? 'loud' : '' },
      el('span', {}, f.says), bar(f.loudness / scale, { tone: f.loudness >= 1 ? 'bad' : 'busy', tick: 1 / scale }),
      el('span', { class: 'num muted' }, oneIn(f.one_in))))),
    el('p', { class: 'muted' }, speaks.length === 0 ? `Nothing special: none of its ${all.length} features speaks. An alert begins beyond ${oneIn(all[0].alerts_beyond)} ordinary samples.`
      : `So many ordinary samples it takes to see one as strange; an alert begins beyond ${oneIn(all[0].alerts_beyond)} (the tick).${speaks.length < all.length ? ' Its other features are silent.' : ''}`));
}

function alerts({ alerts: all = [] }, unit) {
  if (all.length === 0) return null;
  return part('alerts', 'Alerts', table(
    [{ title: 'Began', class: 'num' }, { title: 'Lasted', class: 'num' }, { title: 'Value', class: 'num' }, { title: 'What was strange', class: 'text' }],
    all.slice(0, 10).map((alert) => [
      clock(alert.from), alert.until ? span((new Date(alert.until) - new Date(alert.from)) / 1000) : el('span', { class: 'tag breach' }, 'holds'), value(alert.value, unit),
      `${alert.why ? WHY[alert.why] ?? alert.why : 'outside its bounds'}${alert.bounds?.some((bound) => bound !== null) ? `; usual was ${range(...alert.bounds, unit)}` : ''}${alert.pages ? '; paged' : ''}`,
    ])));
}

/** With as many digits as it takes to see that it moved. */
export function moved({ old: from, new: to, unit }) {
  const [one, other] = [number(from), number(to)];
  const unlike = one === other && from !== to;
  const sign = { sigmas: 'σ' }[unit] ?? unit;
  return `${unlike ? from.toPrecision(6) : one} → ${unlike ? to.toPrecision(6) : other}${sign ? ` ${sign}` : ''}`;
}

function about({ metadata = {} }) {
  const at = (key) => (Number.isNaN(new Date(metadata[key]).getTime()) ? metadata[key] : clock(metadata[key]));
  if (!metadata.at) return 'now';
  if (metadata.about === 'period') return `${at('at')} until ${at('until')}`;
  if (metadata.about === 'change_point') return `another series since ${at('at')}`;
  return `${metadata.about ?? 'moment'} at ${at('at')}`;
}

function feedback({ sensitivity, sensitivity_prior: prior, trust, verdicts, latest_verdicts: latest = [], actions = [] }) {
  return part('feedback', 'Feedback applied',
    list([
      ['Sensitivity', sensitivity === prior ? `${sigmas(sensitivity)}, as configured` : `${sigmas(prior)} as configured, ${sigmas(sensitivity)} now`],
      ['Trust', trust > 0.995 ? 'full' : `${percent(trust)}: earlier thresholds failed`],
      ['Verdicts', number(verdicts)],
    ]),
    latest.length > 0 && table([{ title: 'Heard', class: 'num' }, { title: 'Verdict' }, { title: 'About', class: 'text' }, { title: 'Comment', class: 'text' }],
      latest.map((v) => [clock(v.at), v.verdict, about(v), v.metadata?.comment ?? '–']), ''),
    actions.length > 0 && el('h4', {}, 'What the loops did about it'),
    actions.length > 0 && table([{ title: 'Time', class: 'num' }, { title: 'Loop' }, { title: 'Parameter' }, { title: 'Old → new', class: 'num' }, { title: 'Reason', class: 'text' }],
      actions.slice(0, 10).map((done) => [clock(done.at), spaced(done.loop), spaced(done.parameter), moved(done), done.reason]), ''));
}

function claims({ pending = [] }) {
  if (pending.length === 0) return null;
  return part('pending', 'What is claimed and not settled yet', el('ul', { class: 'sentences' }, pending.map((p) =>
    el('li', {}, `Change ${p.change} of ${clock(p.at)}: ${spaced(p.measure)} from ${percent(p.at_least)} to ${percent(p.at_most)}, to be settled by ${clock(p.due)}.`))));
}

function numbers({ threshold: t }, unit) {
  if (!t) return null;
  const s = t.supporting;
  return fold('numbers', 'What the window says, in numbers', list([
    ...STATISTICS.map((key) => [spaced(key), key === 'count' ? number(s[key]) : value(s[key], unit)]), ['trend', s.trend],
  ]));
}

function fates({ fates: all = {} }) {
  const some = Object.entries(all).filter(([, count]) => count > 0);
  return some.length === 0 ? null : fold('fates', 'What became of its samples', list(some.map(([fate, count]) => [spaced(fate), number(count)])));
}

/** What a newer daemon knows and this page has no words for. */
function further(known) {
  const rest = Object.entries(known).filter(([key, v]) => !SHOWN.has(key) && v !== null && !(Array.isArray(v) && v.length === 0));
  return rest.length === 0 ? null : part('further', 'Further', list(rest.map(([key, v]) => [spaced(key), ...[plain(v)].flat()])));
}

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:/;

function plain(v) {
  if (v === null || v === undefined) return '–';
  if (typeof v === 'number') return number(v);
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  if (typeof v === 'string') return DATE.test(v) ? clock(v) : v;
  if (Array.isArray(v)) return el('ul', { class: 'sentences' }, v.map((one) => el('li', {}, plain(one))));
  return list(Object.entries(v).map(([key, one]) => [spaced(key), plain(one)]));
}
