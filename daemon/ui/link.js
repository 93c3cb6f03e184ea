// Where a series is explained: an address of this page, so that it can be sent to somebody.

import { el, seriesName } from './dom.js';

const START = 'series=';

export const hashOf = (series) => `#${START}${encodeURIComponent(series)}`;

/** The series that an address names; null where it names none. */
export function seriesOf(hash) {
  const text = hash.slice(1);
  if (!text.startsWith(START)) return null;
  const name = text.slice(START.length);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** A series' name that opens the drawer. */
export const seriesLink = (series, ...name) => el('a', { class: 'series-link', href: hashOf(series), 'aria-haspopup': 'dialog', title: `Explain ${series}` },
  name.length > 0 ? name : seriesName(series));
