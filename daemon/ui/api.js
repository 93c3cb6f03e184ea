// The one place that talks to the daemon's API, and says in the banner what to do when that fails.

import { byId, el } from './dom.js';

const BASE = '/api/v1/';

export class ApiError extends Error {
  /** `status` 0: no answer at all. */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, { cache: 'no-store', ...options });
  } catch {
    throw new ApiError(0, 'no answer');
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) {
    const said = body && (body.detail || body.title);
    throw new ApiError(response.status, said || `the daemon answered ${response.status}`);
  }
  return body;
}

export const get = (path) => call(path);

export const post = (path, body) => call(path, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});

/** Shows one banner per topic; `text` null takes it away. */
export function banner(topic, text) {
  const holder = byId('banners');
  const old = holder.querySelector(`[data-topic="${topic}"]`);
  if (text === null) {
    old?.remove();
  } else if (old) {
    if (old.firstChild.textContent !== text) old.firstChild.textContent = text;
  } else {
    holder.append(el('p', { class: 'banner', 'data-topic': topic }, el('span', {}, text),
      el('button', { type: 'button', 'aria-label': 'Close this message', onclick: (e) => e.target.parentNode.remove() }, 'Close')));
  }
}

/** What went wrong and what to do about it, in a sentence or two. */
export function advice(error) {
  if (!(error instanceof ApiError)) return `This page made a mistake: ${error.message}. Reload it; if that does not help, please report it.`;
  if (error.status === 0) return `The daemon does not answer at ${location.host}. Check that \`homeostat run\` is still running; this page tries again every 5 seconds.`;
  if (error.status === 507) return `No verdict can be recorded and no change goes out at present; judging goes on. The daemon says: ${error.message}.`;
  if (error.status === 403) return `The daemon refused this page: ${error.message}. Open it by the address that \`homeostat run\` printed.`;
  if (error.status === 503) return `The daemon is not ready: ${error.message}. This page tries again every 5 seconds.`;
  return `The daemon could not do that (${error.status}): ${error.message}.`;
}
