// Gives every tab's panel the name of its tab, which Gradio leaves out; a panel is made when its tab is first opened.

() => {
  const name = () => document.querySelectorAll('[role=tabpanel][id]:not([aria-labelledby])').forEach((panel) => panel.setAttribute('aria-labelledby', `${panel.id}-button`));
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  name();
}
