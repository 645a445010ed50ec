// The draft of this tab, with the last steps to it: kept at every change, back after a reload or a restart of the
// server; another visit begins with what was written last in any tab, and is offered the words of the tabs before.

const KEPT_STEPS = 20, DRAFT_KEY = 'holocine-draft', TAB_KEY = 'holocine-tab', DRAFTS_KEY = 'holocine-drafts', MOST_DRAFTS = 3;
let earlier = []; // drafts of other tabs: {tab, at, words}, the newest first

const tab = () => {
  try {
    if (!sessionStorage.getItem(TAB_KEY)) sessionStorage.setItem(TAB_KEY, crypto.getRandomValues(new Uint32Array(1))[0]);
    return sessionStorage.getItem(TAB_KEY);
  } catch { return ''; }
};
const isDraft = (draft) => draft?.shots?.length > 0 && draft.shots.every((shot) => typeof shot?.caption === 'string');
const revived = (draft) => ({ ...draft, shots: draft.shots.map((shot) => ({ ...shot, num_frames: shot.num_frames ?? FRAMES * shot.length })) });

// Those of other tabs that say something else than `words`; without their pictures, for which there is no room.
function draftsBut(words) {
  let kept = [];
  try { kept = JSON.parse(localStorage.getItem(DRAFTS_KEY)) || []; } catch { /* it keeps nothing */ }
  return kept.filter((draft) => draft.tab !== tab() && isDraft(draft.words) && written(draft.words) !== written(words)).slice(0, MOST_DRAFTS - 1);
}
const wordsOf = (draft) => ({ ...draft, references: {}, shots: draft.shots.map((shot) => ({ ...shot, locked: false, image: null })) });

function keep() {
  if (!touched) return;
  const words = wordsOf(present);
  // With many pictures that is more than a page may keep: what is there now comes before what was, words before pictures.
  remember(DRAFT_KEY, { present, past: past.slice(-KEPT_STEPS) }, { present }, { present: words });
  try {
    localStorage.setItem(DRAFTS_KEY, JSON.stringify([{ tab: tab(), at: Date.now(), words }, ...draftsBut(words)]));
  } catch { /* nor this */ }
}
function bringBack() {
  present = snapshot();
  const stored = remembered(DRAFT_KEY), kept = stored?.present || stored; // which once was the draft alone
  if (!isDraft(kept)) return;
  scene = read(revived(kept));
  past = Array.isArray(stored.past) ? stored.past : [];
  link();
  present = snapshot();
  touched = true;
  earlier = draftsBut(wordsOf(present));
  commit();
}

function earlierDrafts() {
  const offer = ({ at, words }) => node('button', {
    type: 'button', class: 'quiet', text: words.title || 'Untitled scene', onclick: () => replace(revived(words), [], false),
    title: `${words.shots.length} shot${words.shots.length > 1 ? 's' : ''}, written ${new Date(at).toLocaleString()}`,
  });
  return earlier.length ? node('div', { class: 'drafts' }, node('span', { text: 'Your other drafts' }), ...earlier.map(offer)) : null;
}
