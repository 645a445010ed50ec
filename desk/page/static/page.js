// What the page does by itself: every tab's panel gets the name of its tab, which Gradio leaves out (a panel is made
// when its tab is first opened), and what takes a file is named by the words on it; the address says which tab is open,
// so that Back and links go to it; a button that is pressed and then cannot be pressed hands the keyboard to its
// neighbour; and what the keyboard comes to is not under what is pinned.

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

  let byKey = false;
  for (const type of ['keydown', 'pointerdown']) document.addEventListener(type, () => { byKey = type === 'keydown'; }, true);
  document.addEventListener('focusin', ({ target }) => byKey && requestAnimationFrame(() => {
    if (target !== document.activeElement || !target.closest('.tabitem')) return;
    const own = target.getBoundingClientRect();
    const over = [...document.querySelectorAll('.stage > .screen, .stage > .status, .desk-actions')]
      .filter((part) => part.checkVisibility({ visibilityProperty: true }) && getComputedStyle(part).position === 'sticky' && !part.contains(target))
      .map((part) => part.getBoundingClientRect()).filter((box) => box.left < own.right && own.left < box.right);
    const atTop = (box) => box.top < innerHeight / 2;
    const above = Math.max(0, ...over.filter(atTop).map((box) => box.bottom + 4)) - own.top;
    const below = own.bottom - Math.min(innerHeight, ...over.filter((box) => !atTop(box)).map((box) => box.top - 4));
    if (over.length && above > 0 !== below > 0) scrollBy({ top: above > 0 ? -above : Math.min(below, -above), behavior: 'instant' });
  }));

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
