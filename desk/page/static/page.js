// What the page does by itself: every tab's panel gets the name of its tab, which Gradio leaves out (a panel is made
// when its tab is first opened), and what takes a file is named by the words on it; the address says which tab is open, so that Back and links go to it; and a button that
// is pressed and then cannot be pressed hands the keyboard to its neighbour.

() => {
  const FIRST = 'direct';
  const name = () => {
    document.querySelectorAll('[role=tabpanel][id]:not([aria-labelledby])').forEach((panel) => panel.setAttribute('aria-labelledby', `${panel.id}-button`));
    document.querySelectorAll('#upload button.upload-container[aria-label]').forEach((button) => button.removeAttribute('aria-label'));
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  name();

  document.addEventListener('click', ({ target }) => {
    const pressed = target.closest?.('.desk-actions button'), until = Date.now() + 60000;
    const left = () => ![document.body, pressed].includes(document.activeElement);
    const look = pressed && setInterval(() => {
      const next = pressed.disabled && [...pressed.parentElement.querySelectorAll(':scope > button')].find((button) => !button.disabled);
      if (next && !left()) next.focus({ preventScroll: true });
      if (next || left() || Date.now() > until) clearInterval(look);
    }, 100);
  });

  const asked = () => /^#([a-z]+)$/.exec(location.hash)?.[1] || FIRST;
  const buttonOf = (tab) => document.getElementById(`${tab}-panel-button`);
  const go = () => { const button = buttonOf(asked()); if (button && button.getAttribute('aria-selected') !== 'true') button.click(); };
  document.addEventListener('click', ({ target }) => {
    const tab = /^([a-z]+)-panel-button$/.exec(target.closest?.('[role=tab]')?.id || '')?.[1];
    if (!tab || tab === asked()) return;
    history.pushState(null, '', tab === FIRST ? location.href.split('#')[0] : `#${tab}`);
  }, true);
  window.addEventListener('popstate', go);
  if (asked() === FIRST) return;
  const waiting = setInterval(() => { if (buttonOf(FIRST)) { clearInterval(waiting); go(); } }, 50);
  setTimeout(() => clearInterval(waiting), 20000);
}
