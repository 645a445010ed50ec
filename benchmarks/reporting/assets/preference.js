"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const videos = [byId("left"), byId("right")];
let voter = "";
let votes = {};
let order = [];
let at = 0;

const storageKey = () => `votes ${data.pairs[0].id} ${voter}`;

function remember() {
  try {
    localStorage.setItem(storageKey(), JSON.stringify(votes));
  } catch {
    // A browser that keeps nothing still hands the votes over at the end.
  }
}

function recall() {
  try {
    return JSON.parse(localStorage.getItem(storageKey())) || {};
  } catch {
    return {};
  }
}

// Everyone sees the pairs in another order, always the same for one name.
function shuffled(pairs, name) {
  let state = 2166136261;
  for (const letter of name) state = Math.imul(state ^ letter.codePointAt(0), 16777619);
  const random = () => {
    state = Math.imul(state ^ (state >>> 15), 2246822507) + 0x9e3779b9;
    return ((state ^ (state >>> 13)) >>> 0) / 4294967296;
  };
  const mixed = [...pairs];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  return mixed;
}

function begin() {
  voter = byId("voter").value.trim();
  if (!voter) return byId("voter").focus();
  votes = recall();
  const mixed = shuffled(data.pairs, voter);
  order = [...mixed.filter((pair) => votes[pair.id]), ...mixed.filter((pair) => !votes[pair.id])];
  at = order.filter((pair) => votes[pair.id]).length;
  byId("start").hidden = true;
  show();
}

function show() {
  const done = Object.keys(votes).length;
  byId("handover").hidden = done === 0;
  byId("count").textContent = `${done} of ${order.length} judged`;
  byId("judge").hidden = at >= order.length;
  byId("end").hidden = at < order.length;
  if (at >= order.length) return videos.forEach((video) => video.pause());
  const pair = order[at];
  byId("progress").textContent = `Pair ${at + 1} of ${order.length}`;
  byId("undo").disabled = at === 0;
  byId("global").textContent = pair.global;
  byId("captions").replaceChildren(...pair.captions.map((caption) => {
    const line = document.createElement("li");
    line.textContent = caption;
    return line;
  }));
  videos[0].src = pair.left;
  videos[1].src = pair.right;
  replay();
}

function replay() {
  for (const video of videos) {
    video.currentTime = 0;
    video.play().catch(() => {});
  }
}

function choose(choice) {
  if (byId("judge").hidden) return;
  votes[order[at].id] = choice;
  remember();
  at += 1;
  show();
}

function undo() {
  if (byId("judge").hidden && byId("end").hidden) return;
  at = Math.max(0, at - 1);
  show();
}

function save() {
  const content = JSON.stringify({ format: data.format, voter, votes }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  link.download = `votes-${voter.replace(/[^A-Za-z0-9_-]+/g, "-") || "voter"}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

byId("begin").addEventListener("click", begin);
byId("voter").addEventListener("keydown", (event) => { if (event.key === "Enter") begin(); });
byId("choose-left").addEventListener("click", () => choose("left"));
byId("choose-right").addEventListener("click", () => choose("right"));
byId("choose-tie").addEventListener("click", () => choose("tie"));
byId("again").addEventListener("click", replay);
byId("undo").addEventListener("click", undo);
byId("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  const keys = { ArrowLeft: () => choose("left"), ArrowRight: () => choose("right"), ArrowDown: () => choose("tie"), ArrowUp: undo, " ": replay };
  if (!keys[event.key] || byId("judge").hidden || event.target.tagName === "INPUT" || event.repeat) return;
  event.preventDefault();
  keys[event.key]();
});
