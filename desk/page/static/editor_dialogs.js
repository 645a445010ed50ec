// The editor's dialogs: open a storyboard from text or a file, save it as text or for film tools.

const filmForms = { OpenTimelineIO: 'otio', 'CMX 3600 EDL': 'edl', FCPXML: 'fcpxml', 'SubRip subtitles': 'srt', 'WebVTT chapters': 'vtt', 'Fountain screenplay': 'fountain', 'CSV shot list': 'csv' };

function dialog(title, ...content) {
  const box = node('dialog', { class: 'desk-dialog', 'aria-label': title, onclose: () => box.remove() },
    node('div', { class: 'dialog-head' }, node('h3', { text: title }), iconButton('Close', 'close', () => box.close())), ...content);
  root.append(box);
  box.showModal();
  return box;
}

function openDialog() {
  const text = node('textarea', { class: 'mono paste', rows: 12, 'aria-label': 'Storyboard as text', placeholder: 'YAML, JSON, or [global caption] … [per shot caption] … [shot cut] …' });
  const said = node('p', { class: 'error', role: 'alert' });
  const tell = (error, ...more) => said.replaceChildren(error, ...more);
  let name = '';  // of the file that the text is from: film tools' files are known by it
  text.addEventListener('paste', () => { name = ''; });
  const known = ['.yaml', '.yml', '.json', '.txt', '.mp4', ...Object.values(filmForms).map((ending) => '.' + ending)];
  const file = node('input', { type: 'file', accept: known.join(), hidden: true, onchange: async () => {
    if (!file.files[0]) return;
    const found = await readText(file.files[0]);
    file.value = '';
    tell(found.error || '');
    if (found.error) return;
    text.value = found.text;
    name = found.name;
  } });
  const use = async () => {
    const answer = await ask('parse_text', { text: text.value, name });
    if (answer.prose) tell(answer.error, node('br'), node('button', { type: 'button', class: 'outlined as-scene', text: 'Use it as the scene’s text', onclick: useAsScene }));
    else if (answer.error) tell(answer.error);
    else { box.close(); replace(answer.draft, answer.notices); }
  };
  const useAsScene = () => { box.close(); change(() => { scene.global_caption = text.value.trim(); }, '.about'); };
  const box = dialog('Open a storyboard', node('p', { class: 'hint', text: 'Paste a storyboard as YAML or JSON, or HoloCine’s prompt string, whose cuts are spread evenly where it does not say them. Files of film tools are opened as well: ' + Object.keys(filmForms).join(', ') + '; and MP4s made here, with the storyboard inside them.' }),
    text, said, file, node('div', { class: 'dialog-foot' }, button('From a file', 'open', () => file.click()), node('span', { class: 'spring' }), node('button', { type: 'button', class: 'solid use', text: 'Use this storyboard', onclick: use })));
  text.focus();
}

async function saveDialog() {
  if (pause) commit();
  const answer = await ask('write_texts', { draft: draft() });
  const said = node('p', { class: 'error', role: 'alert', text: answer.error || '' });
  const text = node('textarea', { class: 'mono', rows: 14, readonly: true, 'aria-label': 'The storyboard as text' });
  const forms = { YAML: ['yaml', 'storyboard.yaml'], JSON: ['json', 'storyboard.json'], 'HoloCine prompt': ['prompt', 'prompt.txt'] };
  let chosen = 'YAML';
  let content = '';  // the text with its own line ends, which a textarea changes
  const told = node('p', { class: 'hint', role: 'status' });
  const tabs = node('div', { class: 'segmented', role: 'radiogroup', 'aria-label': 'Form' });
  const show = (name, body, error, notices) => {
    chosen = name;
    content = text.value = body;
    said.textContent = error;
    told.textContent = notices.join(' ');
    films.value = filmForms[name] ? name : '';
    tabs.replaceChildren(...Object.keys(forms).map((form) => node('button', { type: 'button', role: 'radio', 'aria-checked': String(form === chosen), text: form, onclick: () => pick(form) })));
  };
  const pick = (name) => show(name, answer.error ? '' : answer[forms[name][0]], answer.error || '', []);
  const pickFilm = async () => {
    const name = films.value;
    if (!name) { pick('YAML'); return; }
    const film = await ask('write_texts', { draft: draft(), form: filmForms[name] });
    if (films.value === name) show(name, film.text || '', film.error || '', film.notices || []);  // else another was chosen since
  };
  const films = node('select', { class: 'films', 'aria-label': 'For film tools', disabled: Boolean(answer.error), onchange: pickFilm },
    node('option', { value: '', text: 'For film tools …' }), ...Object.keys(filmForms).map((name) => node('option', { value: name, text: name })));
  const copy = button('Copy', 'copy', async () => {
    text.select();
    if (!(await copied(text.value))) document.execCommand('copy');
    copy.querySelector('span').textContent = 'Copied';
  });
  const download = () => {
    const url = URL.createObjectURL(new Blob([content], { type: 'text/plain' }));
    node('a', { href: url, download: forms[chosen] ? forms[chosen][1] : `storyboard.${filmForms[chosen]}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  dialog('Save the storyboard', tabs, films, text, told, said, node('div', { class: 'dialog-foot' }, copy, node('span', { class: 'spring' }), node('button', { type: 'button', class: 'solid', text: 'Download', disabled: Boolean(answer.error), onclick: download })));
  pick('YAML');
}
