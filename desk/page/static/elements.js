// How all scripts of the desk make elements: attributes by name, listeners as `onclick`, text as `text`, never as HTML.

function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'class') made.className = value;
    else if (name === 'text') made.textContent = value;
    else if (name === 'value') made.value = value;
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// The parts that a component shows, empty, by name; the part `status` is read out when it changes.
function partsOf(root, names) {
  const parts = Object.fromEntries(names.map((name) => [name, node('div', { class: name })]));
  parts.status.setAttribute('aria-live', 'polite');
  root.append(...Object.values(parts));
  return parts;
}

// States of a job that goes on, and how the time that it still takes is said, from seconds.
const LIVE = ['waiting', 'running'];
const duration = (left) => (left < 90 ? `${Math.max(1, Math.round(left))} s` : `${Math.round(left / 60)} min`);

// A copy in the order of what `number` gives, from the largest down or from the smallest up; those without one last.
function ranked(items, number, down) {
  const key = (item) => { const value = number(item); return value == null ? -Infinity : down ? value : -value; };
  return [...items].sort((a, b) => key(b) - key(a) || 0);
}

// Whether a text could be put where one pastes from: some browsers and pages may not.
async function copied(text) {
  try { await navigator.clipboard.writeText(text); return true; } catch { return false; }
}

// What a browser keeps of a page: each tab its own over a reload, another visit what was kept last in any of them.
// Of `forms`, from the largest down, each store gets the first that it has room for.
const STORES = ['sessionStorage', 'localStorage'];
function remember(key, ...forms) {
  for (const store of STORES) {
    forms.some((form) => { try { globalThis[store].setItem(key, JSON.stringify(form)); return true; } catch { return false; } });
  }
}
function remembered(key) {
  for (const store of STORES) {
    try { const kept = JSON.parse(globalThis[store].getItem(key)); if (kept) return kept; } catch { /* it keeps nothing */ }
  }
  return null;
}

// Whether what was begun on this page came to nothing while it was away, as when the server is started anew: then the
// browser loads the page again by itself. `shown` names the finished thing that is there.
function watchLoss(shown) {
  const key = () => `holocine-begun-${element.closest('[id$="-panel"]')?.id}`;
  const stored = (act) => { try { return act(sessionStorage); } catch { return null; } };
  let live = false;
  return {
    follow(state) {
      if (LIVE.includes(state)) stored((store) => store.setItem(key(), shown()));
      else if (live) stored((store) => store.removeItem(key()));
      live = LIVE.includes(state);
    },
    // To be asked once, when the server has told all that it knows of this visitor.
    lost() {
      const before = stored((store) => store.getItem(key()));
      stored((store) => store.removeItem(key()));
      return before === shown() ? 'What you had begun was not finished: the server was started anew, or it was cancelled elsewhere. You can begin it again.' : '';
    },
  };
}

// Whether somebody wants nothing to move by itself.
const calm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

// Brings what somebody asked for into view, if it is on the page and out of sight.
function bringIntoView(part) {
  if (part.offsetParent) part.scrollIntoView({ block: 'nearest', behavior: calm() ? 'auto' : 'smooth' });
}
