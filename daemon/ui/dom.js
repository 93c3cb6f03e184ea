// Makes elements. Text always goes in as text: names and reasons come from outside and are never markup.

/** `el('p', { class: 'muted', title: 'x', onclick: f }, 'text', child, …)`; null and false children are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A series' name that breaks where its words and labels end, and within them only when it must. */
export const seriesName = (name) => name.split(/(?<=[_,])|(?=\{)/).flatMap((part, at) => (at === 0 ? [part] : [el('wbr'), part]));

export const byId = (id) => document.getElementById(id);

/** A table that stacks on narrow screens: each cell carries its column's title. Cells are text or nodes. */
export function table(columns, rows, empty) {
  if (rows.length === 0) return el('p', { class: 'empty' }, empty);
  return el('table', {},
    el('thead', {}, el('tr', {}, columns.map((c) => el('th', { scope: 'col', class: c.class }, c.title)))),
    el('tbody', {}, rows.map((cells) => el('tr', {}, cells.map((cell, at) =>
      el('td', { 'data-title': columns[at].title, class: columns[at].class }, cell))))));
}
