// For browsers that let no page keep anything, and where asking for a store is an error: the page then keeps it itself,
// for as long as it is open, so that the desk works.
for (const name of ['localStorage', 'sessionStorage']) {
  try { globalThis[name].getItem(''); } catch {
    const kept = new Map();
    const store = {
      getItem: (key) => kept.get(String(key)) ?? null, setItem: (key, value) => { kept.set(String(key), String(value)); },
      removeItem: (key) => { kept.delete(String(key)); }, clear: () => kept.clear(), key: (index) => [...kept.keys()][index] ?? null,
      get length() { return kept.size; },
    };
    Object.defineProperty(globalThis, name, { configurable: true, value: store });
  }
}
