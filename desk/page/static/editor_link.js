// How a draft goes with a finished video: a shot's `origin` is the shot of the video that it is, counted from 1. What
// goes with one can be locked, and changed words or new shots offer to go on from the video.

const withoutCount = (about) => about.replace(/\s*This scene contains \d+ shots?\.?/i, '').trim();

function link() {
  const shots = (made && made.shots) || [], taken = new Set();
  const take = (shot, at) => { taken.add(at); shot.origin = at + 1; };
  const fits = (shot, index, at) => at >= 0 && at < shots.length && !taken.has(at) && shots[at].num_frames === framesOf(index);
  scene.shots.forEach((shot) => { shot.origin = null; });
  scene.shots.forEach((shot, index) => {
    const same = (at) => fits(shot, index, at) && shots[at].caption === shot.caption;
    const at = same(index) ? index : shots.findIndex((_, other) => same(other));
    if (at >= 0) take(shot, at);
  });
  if (taken.size) scene.shots.forEach((shot, index) => { if (!shot.origin && fits(shot, index, index)) take(shot, index); });
  if (made) scene.shots.forEach((shot) => { shot.locked = Boolean(shot.origin && shot.locked); });
}

// What there is to offer: {retake: indices of shots with other words} or {more: how many shots are new}, else {}

function offer() {
  if (!made) return {};
  const count = made.shots.length, shots = scene.shots;
  const kept = shots.length >= count && made.shots.every((shot, at) => shots[at].origin === at + 1 && shot.num_frames === framesOf(at)) && made.fps === scene.fps;
  if (!kept) return {};
  const changed = made.shots.flatMap((shot, at) => (sameShot(shot, at) || !shots[at].caption.trim() ? [] : [at]));
  if (shots.length > count) return changed.length ? {} : { more: shots.length - count };
  return sameScene() && changed.length && changed.length < count ? { retake: changed } : {};
}

const sameShot = (shot, at) => shot.caption === scene.shots[at].caption && (shot.image || null) === (scene.shots[at].image || null);
const sameScene = () => withoutCount(seen.global_caption) === withoutCount(scene.global_caption)
  && JSON.stringify(seen.references || {}) === JSON.stringify(scene.references);

// Whether the scene still is the one that the video was made of.
const asSeen = () => Boolean(seen) && seen.fps === scene.fps && seen.shots.length === scene.shots.length && sameScene()
  && seen.shots.every((shot, at) => sameShot(shot, at) && shot.num_frames === framesOf(at));

function showLinks() {
  const { retake = [], more = 0 } = offer(), only = retake.length === 1;
  root.querySelectorAll('.shot').forEach((row, index) => {
    const shot = scene.shots[index], lock = row.querySelector('.lock'), box = row.querySelector('.offer');
    if (!shot) return;
    const locked = Boolean(shot.origin && shot.locked);
    lock.hidden = !shot.origin;
    if (lock.dataset.drawn !== `${index} ${locked}`) showLock(row, lock, index, locked); // else a press of it would lose its target
    const anew = () => offerButton('Make all anew', () => trigger('submit'));
    const lines = !retake.includes(index) ? [] : [
      offerButton(only ? 'Retake this shot' : `Retake these ${retake.length} shots`, () => trigger('retake'), 'first'), anew()];
    if (more && index === scene.shots.length - 1) lines.push(offerButton('Continue this video', () => trigger('continue_video'), 'first'), anew());
    const drawn = lines.map((line) => line.textContent).join();
    if (box.dataset.drawn === drawn) return;
    box.dataset.drawn = drawn;
    box.replaceChildren(...lines);
  });
}

function showLock(row, lock, index, locked) {
  const name = `${locked ? 'Unlock' : 'Lock'} shot ${index + 1}`;
  lock.dataset.drawn = `${index} ${locked}`;
  lock.setAttribute('aria-pressed', locked);
  lock.setAttribute('aria-label', name);
  lock.title = locked ? `${name}: it is kept when the scene is made again` : `${name}, to keep it when the scene is made again`;
  lock.replaceChildren(icon(locked ? 'locked' : 'unlocked'));
  row.classList.toggle('kept', locked);
  row.querySelector('.caption').readOnly = locked;
}

const offerButton = (text, act, kind = '') => node('button', { type: 'button', class: `outlined ${kind}`, text, onclick: () => { commit(); act(); } });

function toggleLock(index) {
  settle();
  scene.shots[index].locked = !scene.shots[index].locked;
  showLinks();
  commit();
}
