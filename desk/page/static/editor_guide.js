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
    if (!open || !review) { guide.replaceChildren(); return; }
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
    remember();
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

function stageGuide() {
  const box = node('details', { class: 'scene-guide' }, node('summary', { text: 'Set the stage with a few choices' }));
  const body = node('div', { class: 'choices' });
  box.append(body);
  const state = { setting: 'beach', puppets: [{ colour: 'red', body: 'round', hat: 'golden crown', prop: 'nothing' }] };
  const write = () => {
    remember();
    const worn = (hat) => `with ${phrases.hat[hat]}`, held = (prop) => (prop === 'nothing' ? '' : ` and holding ${phrases.prop[prop]}`);
    scene.global_caption = [`The scene is set in ${phrases.setting[state.setting]}.`, ...state.puppets.map((puppet, index) =>
      `[character${index + 1}] is ${article(puppet.colour)} ${puppet.body} puppet ${worn(puppet.hat)}${held(puppet.prop)}.`)].join(' ');
    const about = root.querySelector('.about');
    about.value = scene.global_caption;
    grow(about);
    commit();
    build();
  };
  const build = () => body.replaceChildren(
    node('div', { class: 'choice-row' }, select('Setting', plain(choices.setting), state.setting, (setting) => { state.setting = setting; write(); })),
    ...state.puppets.map((puppet, index) => node('div', { class: 'choice-row' },
      ...['colour', 'body', 'hat', 'prop'].map((trait) => select(index + 1 + ' ' + trait, plain(choices[trait].filter((value) => trait !== 'colour' || value === puppet.colour || !state.puppets.some((other) => other.colour === value))), puppet[trait], (value) => { puppet[trait] = value; write(); })),
      iconButton(`Remove character ${index + 1}`, 'bin', () => { state.puppets.splice(index, 1); write(); }, { disabled: state.puppets.length === 1 }))),
    button('Add a character', 'plus', () => {
      const colour = choices.colour.find((value) => !state.puppets.some((puppet) => puppet.colour === value));
      state.puppets.push({ colour, body: choices.body[state.puppets.length % 3], hat: 'no hat', prop: 'nothing' });
      write();
    }, { disabled: state.puppets.length >= 3 }));
  build();
  return box;
}
