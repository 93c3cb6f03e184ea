// Where a series is explained: an address of this page, so that it can be sent to somebody.

import { el, seriesName } from './dom.js';

const START = 'series=';
const JUDGE = '&judge=';

export const hashOf = (series) => `#${START}${encodeURIComponent(series)}`;

/** The series that an address names; null where it names none. */
export function seriesOf(hash) {
  const text = hash.slice(1);
  if (!text.startsWith(START)) return null;
  // A name has no bare & in an address: it is escaped there.
  const name = text.slice(START.length).split('&')[0];
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** A series' name that opens the drawer. */
export const seriesLink = (series, ...name) => el('a', { class: 'series-link', href: hashOf(series), 'aria-haspopup': 'dialog', title: `Explain ${series}` },
  name.length > 0 ? name : seriesName(series));

/** The moment that a link from a page asks about, in Unix milliseconds: whether the alert that was then mattered. Null: none. */
export function judgedOf(hash) {
  const at = hash.indexOf(JUDGE);
  const ms = at < 0 ? NaN : Date.parse(hash.slice(at + JUDGE.length));
  return Number.isNaN(ms) ? null : ms;
}
