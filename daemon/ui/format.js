// Numbers, units and times as a person reads them.

/** Four significant digits, thousands grouped; very small and very large ones with an exponent. */
export function number(value) {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(2);
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return value.toLocaleString('en', { maximumSignificantDigits: size >= 1000 ? 5 : 4 });
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** What a series is measured in, from its name's ending as Prometheus has it; a counter is held as its rate. `negative`: whether it
 *  can be. */
export function unitOf(series, kind) {
  const name = series.split('{')[0].replace(/_total$/, '');
  const per = (kind ?? (name !== series.split('{')[0] ? 'counter' : '')) === 'counter' ? '/s' : '';
  const base = name.endsWith('_bytes') ? 'bytes' : name.endsWith('_seconds') && !per ? 'seconds' : '';
  return { base, per, negative: !per && !base && !name.endsWith('_ratio') };
}

export function value(v, unit) {
  if (v === null || v === undefined) return '–';
  if (unit.base === 'bytes') {
    let size = v, step = 0;
    while (Math.abs(size) >= 1024 && step < BYTES.length - 1) { size /= 1024; step += 1; }
    const shown = size.toLocaleString('en', { maximumSignificantDigits: Math.abs(size) >= 1000 ? 4 : 3 });
    return `${shown}\u00a0${BYTES[step]}${unit.per}`;
  }
  if (unit.base === 'seconds') {
    const size = Math.abs(v);
    if (size !== 0 && size < 1e-3) return `${number(v * 1e6)}\u00a0µs`;
    if (size !== 0 && size < 1) return `${number(v * 1e3)}\u00a0ms`;
    return `${number(v)}\u00a0s`;
  }
  return unit.per ? `${number(v)}\u00a0${unit.per}` : number(v);
}

export const percent = (ratio) => (ratio === null || ratio === undefined ? '–' : `${(ratio * 100).toFixed(ratio < 0.1 && ratio > 0 ? 1 : 0)}\u00a0%`);

/** `12:03:41`, with the day in front when it is not today. */
export function clock(at) {
  const then = new Date(at);
  const time = then.toLocaleTimeString('en-GB');
  if (then.toDateString() === new Date().toDateString()) return time;
  return `${then.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${time}`;
}

/** A span in seconds, its two largest units: `2 h 5 min`. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  const s = Math.max(0, seconds);
  if (s > 0 && s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 60) return `${Number(s.toFixed(s < 10 ? 1 : 0))} s`;
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = units.findIndex(([size]) => s >= size);
  const parts = [];
  let rest = Math.round(s);
  for (const [size, word] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${word}`);
  }
  return parts.join(' ');
}

export const sinceNow = (at) => span((Date.now() - new Date(at).getTime()) / 1000);

/** `metrics_learning` as words. */
export const words = (name) => name.replaceAll('_', ' ');

export const sigmas = (sensitivity) => `${sensitivity.toFixed(2)} σ`;

export function range(lower, upper, unit) {
  if (lower === null && upper === null) return '–';
  // What rounding left of a zero is one.
  const size = Math.max(Math.abs(lower ?? 0), Math.abs(upper ?? 0));
  const rest = (v) => (v !== null && Math.abs(v) < size * 1e-9 ? 0 : v);
  [lower, upper] = [rest(lower), rest(upper)];
  if (lower === null) return `up to ${value(upper, unit)}`;
  if (upper === null) return `from ${value(lower, unit)}`;
  return `${value(lower, unit)} to ${value(upper, unit)}`;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
