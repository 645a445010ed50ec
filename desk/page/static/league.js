// A table of systems that sorts by any column, under what it shows in a sentence; a row opens the videos behind it, and
// below stands what each system is.
// {title, verdict, note, columns: [{name, hint}], rows: [{id, name, what, kind, cells: [{text, number, hint, emphasis}]}], empty}

const root = element.querySelector('.league');

let sorted = null, down = true, chosen = null;

function show() {
  const value = props.value || {};
  const { columns = [], rows = [] } = value;
  if (!rows.length) { root.replaceChildren(node('p', { class: 'empty', text: value.empty || '' })); return; }
  const order = sorted === null ? rows : ranked(rows, (row) => row.cells[sorted].number, down);
  const head = node('tr', {}, node('th', { scope: 'col', text: 'System' }), ...columns.map((column, index) => node('th', { scope: 'col', title: column.hint, 'aria-sort': sorted === index ? (down ? 'descending' : 'ascending') : 'none' },
    node('button', { type: 'button', text: column.name + (sorted === index ? (down ? ' ▾' : ' ▴') : ''), onclick: () => { down = sorted === index ? !down : true; sorted = index; show(); } }))));
  // A press anywhere in a row opens it; the button in it is for keyboards, and its press reaches the row as well.
  const body = order.map((row) => node('tr', { class: `${row.kind} ${row.id ? 'opens' : ''} ${row.id && row.id === chosen ? 'chosen' : ''}`, ...(row.id ? { onclick: () => open(row.id) } : {}) },
    node('th', { scope: 'row', title: row.what || null }, row.id ? node('button', { type: 'button', class: 'open-row', 'data-system': row.id, text: row.name }) : node('span', { text: row.name })),
    ...row.cells.map((cell) => node('td', { title: cell.hint, class: cell.emphasis }, node('span', { text: cell.text })))));
  const scrolled = root.querySelector('.scroll')?.scrollLeft || 0;
  const scroll = node('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': value.title }, node('table', {}, node('thead', {}, head), node('tbody', {}, ...body)));
  root.replaceChildren(node('h2', { text: value.title }), value.verdict ? node('p', { class: 'verdict', text: value.verdict }) : '', scroll,
    node('p', { class: 'note', text: value.note || '' }), systems(rows.filter((row) => row.what)));
  scroll.scrollLeft = scrolled;
}

function open(id) {
  const byKeyboard = root.contains(document.activeElement);
  chosen = id;
  show();
  if (byKeyboard) root.querySelector('.chosen .open-row').focus({ preventScroll: true });
  trigger('choose', { id });
}

function systems(rows) {
  if (!rows.length) return '';
  return node('details', { class: 'systems', open: true }, node('summary', { text: 'What each system is' }),
    node('dl', {}, ...rows.flatMap((row) => [node('dt', { text: row.name }), node('dd', { text: row.what })])));
}

watch('value', () => { sorted = null; chosen = null; show(); });
show();
