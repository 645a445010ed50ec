// Plays videos of one scene in step, under one slider. One clock runs while all of them can play, and waits for those that
// cannot; one that runs ahead or behind by half a frame is slowed down or hurried. Standing still all are at one frame.
// {fps, num_frames, cuts}; `seen` is called with every new frame's number.

function playTogether(videos, box, { fps, num_frames: total, cuts = [] }, seen = () => {}) {
  let clock = 0, playing = !calm(), last = performance.now(), shown = -1;
  const HARD = 4, SOFT = 0.5; // frames: put back, hurried
  const slider = node('input', { type: 'range', min: 0, max: total - 1, step: 1, value: 0, 'aria-label': 'Frame', oninput: () => { playing = false; clock = slider.value / fps; align(); } });
  const button = node('button', { type: 'button', class: 'quiet play', onclick: toggle });
  const output = node('output', {});
  const marks = cuts.map((frame) => node('i', { class: 'cut-mark', style: `left:${(100 * frame) / total}%` }));
  box.replaceChildren(button, node('div', { class: 'scrub' }, ...marks, slider), output);

  const frame = () => Math.min(total - 1, Math.floor(clock * fps + 1e-6));
  const over = (video) => video.ended || (Number.isFinite(video.duration) && video.currentTime >= video.duration - 1.5 / fps);
  const ready = (video) => !video.seeking && (video.readyState >= 3 || over(video) || video.error);

  function align() {
    for (const video of videos) {
      video.pause();
      video.currentTime = (frame() + 0.5) / fps;
    }
    paint();
  }

  function toggle() {
    playing = !playing;
    if (!playing) align();
    paint();
  }

  function paint() {
    button.textContent = playing ? 'Pause' : 'Play';
    if (frame() === shown) return;
    shown = frame();
    slider.value = shown;
    output.textContent = `frame ${shown} of ${total - 1}`;
    seen(shown);
  }

  function tick(now) {
    if (!slider.isConnected) return;
    if (playing && videos.every(ready)) {
      clock += Math.min(0.1, (now - last) / 1000);
      if (clock >= total / fps) {
        clock = 0;
        for (const video of videos) video.currentTime = 0;
      }
      for (const video of videos) {
        if (over(video) && clock > video.duration - 2 / fps) continue;
        if (video.paused) video.play().catch(() => {});
        const ahead = (video.currentTime - clock) * fps;
        if (Math.abs(ahead) > HARD) video.currentTime = clock;
        video.playbackRate = ahead > SOFT ? 0.85 : ahead < -SOFT ? 1.15 : 1;
      }
      paint();
    }
    last = now;
    requestAnimationFrame(tick);
  }

  paint();
  requestAnimationFrame(tick);
  return { toggle };
}

// A silent video of one of the sides
function silentVideo(source, label, toggle) {
  const video = node('video', { src: source.url, muted: true, playsinline: true, preload: 'auto', 'aria-label': label, onclick: toggle });
  video.muted = true;
  return video;
}
