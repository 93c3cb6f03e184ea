// One human sentence per kind of event. Shapes are those of the journal: core/src/event.rs.

import { clock, number, plural, sigmas, unitOf, value, words } from './format.js';

/** Every kind the page knows, in the words of its filter. */
export const KINDS = {
  series_added: 'series added',
  series_forgotten: 'series forgotten',
  threshold_learned: 'thresholds learned',
  alerted: 'alerts',
  forecasted: 'forecasts',
  state_changed: 'transitions',
  change_dispatched: 'changes dispatched',
  change_settled: 'changes settled',
  signalled: 'signals',
  adjusted: 'adjustments',
  withheld: 'adjustments withheld',
  effect_measured: 'effects measured',
  loop_paused: 'loops paused',
  frozen: 'freezes',
  claim_settled: 'confidences held against what came',
  level_shift_proposed: 'level shifts asked about',
  level_shift_settled: 'level shifts settled',
  rollout_moved: 'thresholds on their way to alert rules',
  threshold_released: 'thresholds served at a word',
  cycle_completed: 'cycles',
};

// What was strange at the onset of an alert.
export const WHY = {
  high: 'far above what was to be expected',
  low: 'far below what was to be expected',
  above: 'far above what it usually is',
  below: 'far below what it usually is',
  drifting: 'off what was to be expected for long',
  restless: 'moves about more than it usually does',
  stuck: 'no longer moves',
};

// What became of a level that shifted.
export const SETTLED = {
  accepted: 'is accepted: the new level is ordinary',
  refused: 'is refused: the new level is trouble',
  unanswered: 'was not answered: the new level counts as ordinary',
  returned: 'is settled: the level before came back',
  over: 'is over: the trouble has ended',
};

/** The bounds of a threshold in the journal at `at`; they may repeat by season. */
export function pairAt(bounds, at) {
  if (bounds.Constant) return [bounds.Constant.lower, bounds.Constant.upper];
  if (!bounds.Periodic) return [null, null];
  const { period, pairs, clock: zone } = bounds.Periodic;
  const ms = spanMs(period);
  const local = new Date(at).getTime() + offsetMs(zone, at);
  const into = ((local % ms) + ms) % ms;
  return pairs[Math.floor((into * pairs.length) / ms)];
}

/** What the clocks of a zone are ahead of UTC at an instant; 0 where bounds follow none. */
function offsetMs(zone, at) {
  if (!zone) return 0;
  const then = new Date(at).getTime();
  const last = zone.changes.findLast(([since]) => new Date(since).getTime() <= then);
  return 1000 * (last ? last[1] : zone.before_s);
}

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Milliseconds of a duration as the daemon prints it, `1h30m`. */
function spanMs(text) {
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[dhms])/g)) total += Number(count) * UNIT_MS[unit];
  return total;
}

function boundsText([lower, upper], series) {
  const unit = unitOf(series ?? '');
  if (lower === null) return `at most ${value(upper, unit)}`;
  if (upper === null) return `at least ${value(lower, unit)}`;
  return `${value(lower, unit)} to ${value(upper, unit)}`;
}

/** What a knob or an adjustment's target is called, without its series. */
function targetName(target) {
  if (target === 'parameters') return 'parameters';
  const [[name, of]] = Object.entries(target);
  if (name === 'factor') return `factor on ${words(of)}`;
  if (name === 'preference') return `preference of ${of}`;
  return name;
}

export function targetSeries(target) {
  return target.sensitivity ?? target.trust ?? target.threshold ?? null;
}

function setting(at, series) {
  if (at === 'unset') return 'unset';
  if (at.number !== undefined) return number(at.number);
  if (at.bounds) return boundsText(at.bounds, series);
  const p = at.parameters;
  return `interval ${p.monitoring_interval}, depth ${p.analysis_depth}, lookahead ${p.planning_lookahead}, parallelism ${p.execution_parallelism}, rate ${number(p.learning_rate)}`;
}

const moved = (a) => (targetName(a.target) === 'sensitivity'
  ? `sensitivity ${sigmas(a.from)} → ${sigmas(a.to)}`
  : `${targetName(a.target)} ${number(a.from)} → ${number(a.to)}`);

/** The series that an event is about; null where it is about none. */
export const seriesOfEvent = (event) => sentence(event).series;

/** `{ series, text, tone }` of one event; tone is for its mark: good, warn, bad, a state's word, or quiet. */
export function sentence(event) {
  switch (event.kind) {
    case 'series_added':
      return { series: event.series, text: 'is a new series.', tone: 'quiet' };
    case 'series_forgotten':
      return { series: event.series, text: event.because === 'gave_way' ? 'was forgotten: it gave way to a new series.' : 'was forgotten: its samples ended.', tone: 'quiet' };
    case 'threshold_learned': {
      const t = event.threshold;
      return {
        series: event.series,
        text: `has bounds ${boundsText(pairAt(t.bounds, t.learned_at), event.series)} by ${t.strategy}, confidence ${t.confidence.toFixed(2)}${event.active ? '.' : '; not used yet, the confidence is too low.'}`,
        tone: event.active ? 'good' : 'quiet',
      };
    }
    case 'alerted': {
      const at = value(event.value, unitOf(event.series));
      // A calendar's entry was in force.
      const during = event.during ? `, during ${event.during.occasion} ${event.during.name}` : '';
      if (event.phase === 'onset' && event.why) {
        const usual = event.bounds.some((bound) => bound !== null) ? `; usual is ${boundsText(event.bounds, event.series)}` : '';
        return { series: event.series, text: `alert: ${at}, ${WHY[event.why] ?? event.why}${usual}${during}${event.pages ? '; pages.' : event.muted ? '; does not page while its question is open.' : '.'}`, tone: 'bad' };
      }
      return event.phase === 'onset'
        ? { series: event.series, text: `alert: ${at} is outside ${boundsText(event.bounds, event.series)}${during}${event.pages ? ', pages.' : '.'}`, tone: 'bad' }
        : { series: event.series, text: `alert ended at ${at}.`, tone: 'good' };
    }
    case 'forecasted':
      return event.crosses_at === null ? { series: event.series, text: 'the forecast that its trend leads beyond its alert level is withdrawn.', tone: 'quiet' }
        : { series: event.series, text: `its trend leads beyond its alert level at ${clock(event.crosses_at)}, if it goes on.`, tone: 'warn' };
    case 'state_changed': {
      const t = event.transition;
      return { series: null, text: `${t.from} → ${t.to}: ${t.cause}${t.forced_until ? ` (forced until ${new Date(t.forced_until).toLocaleTimeString('en-GB')})` : ''}`, tone: t.to };
    }
    case 'change_dispatched': {
      const c = event.change, series = targetSeries(c.knob);
      return { series, text: `change ${c.id}: ${targetName(c.knob)} ${setting(c.from, series)} → ${setting(c.to, series)}; ${c.because}`, tone: 'change' };
    }
    case 'change_settled': {
      const o = event.outcome;
      const what = { met: 'its expectation was met', failed: 'its expectation failed', inconclusive: 'too little was seen to say', superseded: 'a later change took its place' }[o.verification] ?? o.verification;
      return { series: targetSeries(o.knob), text: `change ${o.change} of ${targetName(o.knob)} settled: ${what}${o.measured === null ? '' : ` (measured ${number(o.measured)})`}.`, tone: { met: 'good', failed: 'warn' }[o.verification] ?? 'quiet' };
    }
    case 'signalled': {
      const s = event.signal;
      const what = s.verdict ? `verdict “${s.verdict}” recorded as #${s.id}` : `signal #${s.id}: ${words(s.source)} ${number(s.value)}`;
      return { series: s.series, text: `${what}, heard by ${words(s.loop)}.`, tone: s.verdict ? 'verdict' : 'quiet' };
    }
    case 'adjusted':
      return { series: targetSeries(event.adjustment.target), text: `${words(event.by)}: ${moved(event.adjustment)}; ${event.adjustment.reason}`, tone: 'change' };
    case 'withheld':
      return { series: targetSeries(event.adjustment.target), text: `${words(event.by)} withheld ${moved(event.adjustment)}, to measure its effect.`, tone: 'quiet' };
    case 'effect_measured':
      return { series: null, text: `${words(event.by)}: what adjustment ${event.id} was for ${event.after === null ? 'could not be measured' : `now measures ${number(event.after)}`}.`, tone: 'quiet' };
    case 'loop_paused':
      return { series: null, text: `${words(event.by)} ${event.paused ? 'is paused' : 'goes on'}: ${event.because}`, tone: event.paused ? 'warn' : 'good' };
    case 'frozen':
      return { series: null, text: `${event.frozen ? 'All changes stop' : 'Changes may go on'}: ${event.because}`, tone: event.frozen ? 'warn' : 'good' };
    case 'level_shift_proposed': {
      const [first] = event.series, others = event.series.length - 1;
      const unit = unitOf(first.series);
      const group = others ? ` and ${plural(others, 'other series', 'other series')}` : '';
      const text = { opened: 'and stayed there for a day: is that ordinary?', joined: 'at the same time.', again: 'and nobody has said whether that is ordinary.' }[event.because] ?? '';
      return { series: first.series, text: `${group} shifted from ${value(first.before, unit)} to ${value(first.after, unit)} ${text} Proposal ${event.id}.`, tone: 'warn' };
    }
    case 'claim_settled': {
      const { said, pages, most } = event.claim;
      return { series: event.series, text: `a week ago ${number(said)} was the confidence that it pages ${number(most)} times at most: it did ${plural(pages, 'time')}${event.kept === null ? ', but little of that week was seen' : ''}.`, tone: 'quiet' };
    }
    case 'level_shift_settled':
      return { series: event.series.length === 1 ? event.series[0] : null, text: `proposal ${event.id} ${SETTLED[event.settled] ?? event.settled}${event.series.length > 1 ? `, for ${event.series.length} series` : ''}.`, tone: event.settled === 'refused' ? 'warn' : 'good' };
    case 'rollout_moved': {
      const worse = event.to === 'refused' || event.to === 'rolled_back';
      return { series: null, text: `New thresholds of rule ${event.rule}, ${words(event.to)}: ${event.because}.`, tone: worse ? 'warn' : 'good' };
    }
    case 'threshold_released':
      return { series: event.series.length === 1 ? event.series[0] : null, text: `is served to rule ${event.rule} at once: ${event.because}.`, tone: 'good' };
    case 'cycle_completed': {
      const parts = [`${event.learned} learned`, `${event.waiting} waiting`];
      if (event.refused) parts.push(`${plural(event.refused, 'change')} refused`);
      return { series: null, text: `Cycle completed: ${parts.join(', ')}.`, tone: 'quiet' };
    }
    default:
      return { series: null, text: `${words(event.kind)}: this page does not know that kind yet.`, tone: 'quiet' };
  }
}
