"use strict";

const run = JSON.parse(document.getElementById("run").textContent);
const byId = (id) => document.getElementById(id);
const make = (kind, text, attributes = {}) => {
  const element = document.createElement(kind);
  if (text !== undefined) element.textContent = text;
  Object.assign(element, attributes);
  return element;
};

// Breakdown by tag: one table at a time.

const tagMetric = byId("tag-metric");
if (tagMetric) {
  const show = () => {
    for (const table of document.querySelectorAll(".tags")) table.hidden = table.id !== tagMetric.value;
  };
  tagMetric.addEventListener("change", show);
  show();
}

// Videos of one storyboard, played together.

const viewer = { time: 0, playing: false, started: 0, from: 0, board: null, seed: run.seeds[0], videos: [] };

// What was asked for, and how long the videos are, as far as that is known, seconds: a model may make more or less.
const asked = () => viewer.board.frames / viewer.board.fps;
const longest = () => Math.max(0, ...viewer.videos.map((video) => (Number.isFinite(video.duration) ? video.duration : 0)));
const duration = () => Math.max(asked(), longest());
const ending = () => longest() || asked();

function source(system, board, seed) {
  const key = `${system}/${board.id}/${seed}`;
  if (run.embedded[key]) return run.embedded[key];
  return run.root + ["items", system, board.id, String(seed), "video.mp4"].map(encodeURIComponent).join("/");
}

function pick(index) {
  const boards = run.storyboards;
  viewer.board = boards[(index + boards.length) % boards.length];
  byId("storyboard").value = viewer.board.id;
  byId("global").textContent = viewer.board.global;
  byId("tags").textContent = viewer.board.tags.join("  ");
  const timeline = byId("timeline");
  timeline.replaceChildren();
  const edges = [0, ...viewer.board.cuts, viewer.board.frames];
  viewer.board.captions.forEach((caption, shot) => {
    const button = make("button", `${shot + 1}  ${caption}`, { type: "button", title: caption });
    button.style.flexGrow = edges[shot + 1] - edges[shot];
    button.addEventListener("click", () => seek((edges[shot] + 0.5) / viewer.board.fps));
    timeline.append(button);
  });
  timeline.append(make("span", undefined, { id: "beyond", title: "longer than was asked for" }));
  show();
}

function show() {
  const grid = byId("videos");
  pause();
  viewer.videos = [];
  grid.replaceChildren();
  grid.style.setProperty("--aspect", `${run.size[0]} / ${run.size[1]}`);
  for (const system of run.systems) {
    const figure = make("figure");
    const item = run.items[`${system}/${viewer.board.id}/${viewer.seed}`];
    if (item && item.video) {
      const video = make("video", undefined, {
        src: source(system, viewer.board, viewer.seed), muted: true, playsInline: true, preload: "auto",
      });
      video.addEventListener("error", () => video.replaceWith(make("div", "the file is not where the report left it", { className: "nothing" })));
      video.addEventListener("loadedmetadata", scale);
      viewer.videos.push(video);
      figure.append(video);
    } else {
      figure.append(make("div", item ? item.error || "no video" : "not run", { className: "nothing" }));
    }
    const caption = make("figcaption");
    caption.append(make("b", system));
    const scores = make("dl");
    run.metrics.forEach((metric, i) => {
      const value = item && item.scores ? item.scores[i] : null;
      scores.append(make("dt", metric), make("dd", value === null ? "–" : value.toFixed(3)));
    });
    caption.append(scores);
    figure.append(caption);
    grid.append(figure);
  }
  seek(0);
  scale();
}

// The shots that were asked for take their part of the line, and what videos last beyond them the rest.
function scale() {
  const beyond = Math.max(0, (duration() - asked()) * viewer.board.fps);
  byId("beyond").hidden = beyond < 0.5;
  byId("beyond").style.flexGrow = beyond;
  mark();
}

function mark() {
  const frame = Math.floor(viewer.time * viewer.board.fps + 1e-6);
  const isAsked = frame < viewer.board.frames;
  const shot = isAsked ? viewer.board.cuts.filter((cut) => cut <= frame).length : viewer.board.captions.length;
  [...byId("timeline").children].forEach((button, i) => button.setAttribute("aria-current", String(i === shot)));
  const where = isAsked ? `frame ${frame} of ${viewer.board.frames}` : `after the ${viewer.board.frames} frames that were asked for`;
  byId("caption").textContent = isAsked ? viewer.board.captions[shot] : "";
  byId("clock").textContent = `${viewer.time.toFixed(2)} s, ${where}`;
  byId("seek").value = String(viewer.time / duration());
}

function seek(time) {
  viewer.time = Math.max(0, Math.min(time, duration() - 0.5 / viewer.board.fps));
  for (const video of viewer.videos) video.currentTime = viewer.time;
  viewer.from = viewer.time;
  viewer.started = performance.now();
  mark();
}

function play() {
  if (viewer.time >= ending() - 1 / viewer.board.fps) seek(0);
  viewer.playing = true;
  viewer.from = viewer.time;
  viewer.started = performance.now();
  byId("play").textContent = "Pause";
  for (const video of viewer.videos) {
    video.playbackRate = Number(byId("speed").value);
    video.play().catch(() => {});
  }
  requestAnimationFrame(tick);
}

function pause() {
  viewer.playing = false;
  byId("play").textContent = "Play all";
  for (const video of viewer.videos) video.pause();
}

function tick(now) {
  if (!viewer.playing) return;
  const speed = Number(byId("speed").value);
  viewer.time = viewer.from + ((now - viewer.started) / 1000) * speed;
  for (const video of viewer.videos) {
    // One clock for all: who falls behind or runs ahead by more than a frame or so is put back.
    if (!video.seeking && Math.abs(video.currentTime - viewer.time) > 0.12) video.currentTime = viewer.time;
  }
  if (viewer.time >= ending()) {
    if (byId("loop").checked) seek(0);
    else pause();
  }
  mark();
  if (viewer.playing) requestAnimationFrame(tick);
}

function list(filter) {
  const select = byId("storyboard");
  select.replaceChildren();
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  for (const board of run.storyboards) {
    const text = [board.id, board.title, board.global, ...board.tags, ...board.captions].join(" ").toLowerCase();
    if (words.every((word) => text.includes(word))) {
      select.append(make("option", board.title ? `${board.id}: ${board.title}` : board.id, { value: board.id }));
    }
  }
  byId("found").textContent = `${select.length} of ${run.storyboards.length}`;
}

if (run.storyboards.length) {
  const index = (id) => run.storyboards.findIndex((board) => board.id === id);
  const step = (by) => {
    const options = [...byId("storyboard").options].map((option) => option.value);
    if (!options.length) return;
    const at = options.indexOf(viewer.board.id);
    pick(index(options[(at + by + options.length) % options.length]));
  };
  list("");
  byId("filter").addEventListener("input", () => {
    list(byId("filter").value);
    const options = [...byId("storyboard").options].map((option) => option.value);
    if (options.length && !options.includes(viewer.board.id)) pick(index(options[0]));
    else byId("storyboard").value = viewer.board.id;
  });
  byId("storyboard").addEventListener("change", () => pick(index(byId("storyboard").value)));
  byId("seed").addEventListener("change", () => {
    viewer.seed = Number(byId("seed").value);
    show();
  });
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("play").addEventListener("click", () => (viewer.playing ? pause() : play()));
  byId("back").addEventListener("click", () => { pause(); seek(viewer.time - 1 / viewer.board.fps); });
  byId("forward").addEventListener("click", () => { pause(); seek(viewer.time + 1 / viewer.board.fps); });
  byId("speed").addEventListener("change", () => { if (viewer.playing) { pause(); play(); } });
  byId("seek").addEventListener("input", () => { pause(); seek(Number(byId("seek").value) * duration()); });
  pick(0);
}
