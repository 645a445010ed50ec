// The editor's guided picker, for the world that the embedded model knows: choices become captions in its own words.
// What it changes and shows is `scene` and `review` of editor.js.

const article = (word) => ('aeiou'.includes(word[0]) ? 'an ' : 'a ') + word;
const select = (label, options, value, onchange) => {
  const chosen = node('select', { 'aria-label': label, onchange: () => onchange(chosen.value) }, ...options.map(([key, text]) => node('option', { value: key, text, selected: key === value })));
  return node('label', { class: 'choice' }, node('span', { text: label }), chosen);
};
const plain = (names) => names.map((name) => [name, name[0].toUpperCase() + name.slice(1)]);

function writeShot({ framing, who, size, action, camera, lanterns }) {
  const [one, two] = who;
  const text = {
    insert: 'Insert shot of the empty stage.',
    'over-the-shoulder': `Over-the-shoulder shot of ${one} seen past ${two}.`,
    'two-shot': `${phrases.size[size]} of ${one} and ${two} ${phrases.action[action]}.`,
    single: `${phrases.size[size]} of ${one} ${phrases.action[action]}.`,
  }[framing];
  return `${text}${lanterns ? ' The lanterns light up.' : ''} ${phrases.camera[camera]}`;
}

function showGuides() {
  root.querySelectorAll('.shot').forEach((row, index) => {
    const shot = scene.shots[index], guide = row.querySelector('.guide'), open = openGuide === shot.key;
    row.querySelector('.guide-toggle')?.setAttribute('aria-expanded', open);
    if (!open || !review || review.stale) { guide.replaceChildren(); return; }
    if (guide.contains(document.activeElement)) return;
    guide.replaceChildren(...shotGuide(shot, row, index));
  });
}

function shotGuide(shot, row, index) {
  const tags = Object.keys((review && review.characters) || {});
  const now = { framing: tags.length ? 'single' : 'insert', who: tags.slice(0, 1), size: 'medium', action: 'standing', camera: 'static', lanterns: false, ...((review && review.readings && review.readings[index]) || {}) };
  const write = (changed) => {
    Object.assign(now, changed);
    if (now.framing === 'insert') now.who = [];
    if (now.framing === 'single') now.who = [now.who[0] || tags[0]];
    if (now.framing === 'two-shot' || now.framing === 'over-the-shoulder') {
      const first = now.who[0] || tags[0];
      now.who = [first, now.who[1] && now.who[1] !== first ? now.who[1] : tags.find((tag) => tag !== first)];
    }
    if (now.framing === 'two-shot' && now.size === 'close-up') now.size = 'medium';
    settle();
    shot.caption = writeShot(now);
    const area = row.querySelector('.caption');
    area.value = shot.caption;
    grow(area);
    commit();
    review.readings[index] = { ...now }; // until the server has read the new caption
    row.querySelector('.guide').replaceChildren(...shotGuide(shot, row, index));
  };
  const name = (tag) => review.characters[tag].replace(/ (puppet|with|wearing|and holding).*$/, '').replace(/^an? /, '');
  const who = tags.map((tag) => [tag, name(tag)]);
  const framings = plain(choices.framing).filter(([key]) => key === 'insert' || tags.length > (key === 'single' ? 0 : 1));
  const parts = [select('Framing', framings, now.framing, (framing) => write({ framing }))];
  if (now.framing !== 'insert') parts.push(select('Who', who, now.who[0], (tag) => write({ who: [tag, now.who[1]] })));
  if (now.who.length > 1) parts.push(select(now.framing === 'two-shot' ? 'And' : 'Seen past', who.filter(([tag]) => tag !== now.who[0]), now.who[1], (tag) => write({ who: [now.who[0], tag] })));
  if (now.framing === 'single' || now.framing === 'two-shot') {
    const sizes = now.framing === 'two-shot' ? choices.size.filter((size) => size !== 'close-up') : choices.size;
    parts.push(select('Size', plain(sizes), now.size, (size) => write({ size })));
    parts.push(select('Action', plain(choices.action), now.action, (action) => write({ action })));
  }
  parts.push(select('Camera', plain(choices.camera), now.camera, (camera) => write({ camera })));
  return parts;
}

// What the global caption says in the theatre's words is chosen from; a choice changes only the words that say it.

function stageGuide() {
  const body = node('div', { class: 'choices' });
  const open = Boolean(root.querySelector('.scene-guide')?.open); // before everything is drawn anew
  return node('details', { class: 'scene-guide', open }, node('summary', { text: 'Set the stage with a few choices' }), body);
}

const describe = (tag, { colour, body, hat, prop }) =>
  `[${tag}] is ${article(colour)} ${body} puppet with ${phrases.hat[hat]}${prop === 'nothing' ? '' : ` and holding ${phrases.prop[prop]}`}.`;

function writeScene(text) {
  settle();
  scene.global_caption = text.replace(/ {2,}/g, ' ').trim();
  const about = root.querySelector('.about');
  about.value = scene.global_caption;
  grow(about);
  commit();
  showStageGuide();
}

function setPlace(setting) {
  const words = phrases.setting[setting], text = scene.global_caption, { place } = review.stage;
  review.stage = { ...review.stage, setting, place: words }; // until the server has read it
  writeScene(place ? text.replace(place, () => words) : `The scene is set in ${words}. ${text}`);
}

function setPuppet(tag, puppet) {
  const said = new RegExp(`\\[${tag}\\] is an? [^.\\[]*\\.`, 'i'), text = scene.global_caption, now = puppet ? describe(tag, puppet) : '';
  const { [tag]: before, ...others } = review.stage.puppets;
  review.stage = { ...review.stage, puppets: puppet ? { ...review.stage.puppets, [tag]: puppet } : others };
  writeScene(said.test(text) ? text.replace(said, () => now) : `${text} ${now}`);
}

function showStageGuide() {
  const box = root.querySelector('.scene-guide .choices');
  if (!box || !review || !review.stage) return;
  const { setting, puppets } = review.stage, tags = Object.keys(puppets), taken = tags.map((tag) => puppets[tag].colour);
  const drawn = JSON.stringify(review.stage);
  if (box.dataset.drawn === drawn) return;
  const at = [...box.querySelectorAll('select, button')].indexOf(document.activeElement);
  box.dataset.drawn = drawn;
  const unsaid = (value) => (value ? [] : [['', 'not said']]);
  const row = (tag) => {
    const puppet = puppets[tag], n = tag.replace('character', '');
    const options = (trait) => choices[trait].filter((value) => trait !== 'colour' || value === puppet.colour || !taken.includes(value));
    const full = { colour: choices.colour.find((value) => !taken.includes(value)), body: choices.body[0], ...Object.fromEntries(Object.entries(puppet).filter(([, value]) => value)) };
    return node('div', { class: 'choice-row' },
      ...['colour', 'body', 'hat', 'prop'].map((trait) => select(`${n} ${trait}`, [...unsaid(puppet[trait]), ...plain(options(trait))], puppet[trait] || '', (value) => value && setPuppet(tag, { ...full, [trait]: value }))),
      iconButton(`Remove character ${n}`, 'bin', () => setPuppet(tag, null), { disabled: tags.length === 1 }));
  };
  const add = () => {
    const free = [1, 2, 3].map((n) => `character${n}`).find((tag) => !scene.global_caption.includes(`[${tag}]`)) || 'character3';
    const colour = choices.colour.find((value) => !taken.includes(value));
    setPuppet(free, { colour, body: choices.body[tags.length % 3], hat: 'no hat', prop: 'nothing' });
  };
  box.replaceChildren(
    node('div', { class: 'choice-row' }, select('Setting', [...unsaid(setting), ...plain(choices.setting)], setting || '', (value) => value && setPlace(value))),
    ...tags.map(row),
    button('Add a character', 'plus', add, { disabled: tags.length >= 3 }));
  if (at >= 0) box.querySelectorAll('select, button')[at]?.focus();
}
