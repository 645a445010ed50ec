// The editor's dialogs: open a storyboard from text or a file, save it in three forms.

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
  const file = node('input', { type: 'file', accept: '.yaml,.yml,.json,.txt', hidden: true, onchange: async () => {
    if (!file.files[0]) return;
    if (file.files[0].size > 8000000) { said.textContent = 'This file is too large for a storyboard.'; return; }
    text.value = await file.files[0].text();
    file.value = '';
  } });
  const use = async () => {
    const answer = await server.parse_text({ text: text.value });
    if (answer.error) { said.textContent = answer.error; return; }
    box.close();
    replace(answer.draft, answer.notices);
  };
  const box = dialog('Open a storyboard', node('p', { class: 'hint', text: 'Paste a storyboard as YAML or JSON, or HoloCine’s prompt string, whose cuts are then spread evenly.' }),
    text, said, file, node('div', { class: 'dialog-foot' }, button('From a file', 'open', () => file.click()), node('span', { class: 'spring' }), node('button', { type: 'button', class: 'solid use', text: 'Use this storyboard', onclick: use })));
  text.focus();
}

async function saveDialog() {
  if (pause) commit();
  const answer = await server.write_texts({ draft: draft() });
  const said = node('p', { class: 'error', role: 'alert', text: answer.error || '' });
  const text = node('textarea', { class: 'mono', rows: 14, readonly: true, 'aria-label': 'The storyboard as text' });
  const forms = { YAML: ['yaml', 'storyboard.yaml'], JSON: ['json', 'storyboard.json'], 'HoloCine prompt': ['prompt', 'prompt.txt'] };
  let chosen = 'YAML';
  const tabs = node('div', { class: 'segmented', role: 'radiogroup', 'aria-label': 'Form' });
  const pick = (name) => {
    chosen = name;
    text.value = answer.error ? '' : answer[forms[name][0]];
    tabs.replaceChildren(...Object.keys(forms).map((form) => node('button', { type: 'button', role: 'radio', 'aria-checked': String(form === chosen), text: form, onclick: () => pick(form) })));
  };
  const copy = button('Copy', 'copy', async () => {
    text.select();
    try { await navigator.clipboard.writeText(text.value); } catch { document.execCommand('copy'); }
    copy.querySelector('span').textContent = 'Copied';
  });
  const download = () => {
    const url = URL.createObjectURL(new Blob([text.value], { type: 'text/plain' }));
    node('a', { href: url, download: forms[chosen][1] }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  dialog('Save the storyboard', tabs, text, said, node('div', { class: 'dialog-foot' }, copy, node('span', { class: 'spring' }), node('button', { type: 'button', class: 'solid', text: 'Download', disabled: Boolean(answer.error), onclick: download })));
  pick('YAML');
}
