// Sets the colours before the first paint: what was chosen here last, else what the system prefers.
// A classic script, loaded before the body, so that a dark page never flashes white.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem('homeostat-theme'); } catch { /* storage may be closed to us: the system's choice stands */ }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
