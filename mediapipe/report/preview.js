"use strict";
const by = id => document.getElementById(id);
const audio = by("audio"), table = by("prompts"), body = table.tBodies[0], rows = [...body.rows];
const WORDS = {source: "source", rendered: "rendered", heard: "as heard over G.711"};
const GAP_MS = 350;
let row = null, kind = "heard", address = "", inARow = false, waiting = 0, frame = 0;

// ── one player for all ──────────────────────────────────────────────────────

const block = (one, which) => by(`audio-${one.dataset.number}-${which}`);
const button = (one, which) => one.querySelector(`.play[data-kind=${which}]`);
const lead = (one, which) => which === "source" ? 0 : Number(one.dataset.offset);
const visible = () => [...body.rows].filter(one => !one.hidden);

// Nothing is decoded before somebody wants to hear it, and only one sound is held at a time.
function load(one, which) {
  const held = block(one, which);
  const bytes = Uint8Array.from(atob(held.textContent), letter => letter.charCodeAt(0));
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(new Blob([bytes], {type: held.dataset.type}));
  audio.src = address;
}

function play(one, which) {
  clearTimeout(waiting);
  if (!block(one, which)) return;
  // Another version of the same prompt goes on where the first one was: that is how two are compared.
  const same = row === one && kind !== which && !audio.ended && audio.currentTime > 0;
  const at = same ? Math.max(0, audio.currentTime + lead(one, kind) - lead(one, which)) : 0;
  if (row !== one || kind !== which) {
    mark(one, which);
    load(one, which);
    if (at) audio.currentTime = at;
  }
  audio.play().catch(why => { if (why.name !== "AbortError") by("playing").textContent = `Cannot be played: ${why.message}`; });
}

function mark(one, which) {
  if (row && row !== one) {
    row.removeAttribute("aria-current");
    const line = row.querySelector("i");
    if (line) line.hidden = true;
  }
  row = one;
  kind = which;
  row.setAttribute("aria-current", "true");
  row.scrollIntoView({block: "nearest"});
}

function toggle(one, which) {
  if (one === row && which === kind && audio.src && !audio.paused) audio.pause();
  else play(one, which);
}

function stopRow() {
  inARow = false;
  clearTimeout(waiting);
  show();
}

function next(step) {
  const list = visible().filter(one => block(one, by("version").value));
  return list[list.indexOf(row) + step];
}

// ── what is seen of it ──────────────────────────────────────────────────────

function show() {
  for (const other of table.querySelectorAll(".play[aria-pressed=true]")) other.setAttribute("aria-pressed", "false");
  const on = row && (!audio.paused || (inARow && audio.ended));
  if (row && !audio.paused) button(row, kind).setAttribute("aria-pressed", "true");
  by("toggle").textContent = on ? "Pause" : "Play";
  by("all").setAttribute("aria-pressed", String(inARow));
  by("all").textContent = inARow ? "Stop after this one" : "Play all in a row";
  by("playing").textContent = row ? `${row.querySelector(".name").textContent}, ${WORDS[kind]}` : "Nothing is playing";
  cancelAnimationFrame(frame);
  move();
}

function move() {
  const line = row?.querySelector("i");
  if (line) {
    const share = (audio.currentTime + lead(row, kind)) / Number(row.dataset.total);
    line.hidden = !audio.src;
    line.style.left = `${Math.min(100, share * 100)}%`;
  }
  const length = Number.isFinite(audio.duration) ? audio.duration : 0;
  by("clock").textContent = row ? `${audio.currentTime.toFixed(1)} / ${length.toFixed(1)} s` : "";
  if (!audio.paused) frame = requestAnimationFrame(move);
}

for (const event of ["play", "pause", "seeked", "loadedmetadata"]) audio.addEventListener(event, show);
audio.addEventListener("error", () => {
  by("playing").textContent = `This browser cannot play it: ${audio.error.message}`;
  if (inARow) audio.dispatchEvent(new Event("ended"));
});
audio.addEventListener("ended", () => {
  const following = inARow && next(1);
  if (following) waiting = setTimeout(() => play(following, by("version").value), GAP_MS);
  else inARow = false;
  show();
});

table.addEventListener("click", event => {
  const pressed = event.target.closest(".play"), wave = event.target.closest(".wave");
  const one = event.target.closest("tbody tr");
  if (pressed) {
    if (inARow && one !== row) stopRow();
    toggle(one, pressed.dataset.kind);
  } else if (wave) seek(one, wave, event);
});

// The upper half is the source, the lower one what was rendered, in the version that is playing.
function seek(one, wave, event) {
  const place = wave.getBoundingClientRect();
  const lower = block(one, "rendered") ? event.clientY > place.top + place.height / 2 : false;
  const which = lower ? (kind === "source" ? "rendered" : kind) : "source";
  if (!block(one, which)) return;
  if (inARow && one !== row) stopRow();
  if (one !== row || which !== kind) {
    mark(one, which);
    load(one, which);
  }
  const at = (event.clientX - place.left) / place.width * Number(one.dataset.total) - lead(one, which);
  audio.currentTime = Math.max(0, at);
  play(one, which);
}

function playOrPause() {
  if (inARow && audio.ended) stopRow();
  else if (row) toggle(row, kind);
  else {
    const first = visible().find(one => block(one, by("version").value));
    if (first) play(first, by("version").value);
  }
}
by("toggle").addEventListener("click", playOrPause);
by("all").addEventListener("click", () => {
  if (inARow) return stopRow();
  const which = by("version").value;
  const list = visible().filter(one => block(one, which));
  const first = row && !audio.paused && list.includes(row) ? row : list[0];
  inARow = Boolean(first);
  if (first) play(first, which);
  show();
});

function step(by_) {
  const list = visible();
  const one = list[Math.max(0, Math.min(list.length - 1, row ? list.indexOf(row) + by_ : 0))];
  if (!one || one === row) return;
  const which = [kind, "rendered", "heard", "source"].find(name => block(one, name));
  const sounding = !audio.paused;
  stopRow();
  if (which && sounding) play(one, which);
  else {
    audio.pause();
    mark(one, which ?? kind);
    if (which) load(one, which);
    show();
  }
  button(one, which ?? kind).focus({preventScroll: true});
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const version = {1: "source", 2: "rendered", 3: "heard"}[event.key];
  if (event.key === " " && !event.target.closest("button, summary, a")) playOrPause();
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event.key === "ArrowDown" ? 1 : -1);
  else if (row && (event.key === "ArrowLeft" || event.key === "ArrowRight")) audio.currentTime = Math.max(0, audio.currentTime + (event.key === "ArrowRight" ? .5 : -.5));
  else if (row && version) play(row, version);
  else return;
  event.preventDefault();
});

// ── which prompts, in which order ───────────────────────────────────────────

const texts = new Map(rows.map(one => [one, one.cells[0].textContent.toLowerCase()]));
function filter() {
  const text = by("find").value.toLowerCase(), type = by("type").value;
  let shown = 0;
  for (const one of rows) {
    const match = (!type || one.dataset.type === type) && (!by("changed").checked || one.dataset.changed === "1")
      && (!by("look").checked || one.dataset.look === "1") && texts.get(one).includes(text);
    one.hidden = !match;
    shown += match;
  }
  by("shown").textContent = `${shown} of ${rows.length} shown`;
  by("none").hidden = shown > 0;
}
for (const id of ["find", "type", "changed", "look"]) by(id).addEventListener("input", filter);

const heads = [...table.tHead.rows[0].cells];
heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = new Map(rows.map(one => {
    const text = one.cells[column].dataset.sort;
    return [one, text === "" || column === 0 ? text : Number(text)];
  }));
  // What is not known stays at the end, whichever way the rest is sorted.
  const order = (a, b) => column === 0 ? a.localeCompare(b, undefined, {numeric: true}) : a - b;
  rows.sort((a, b) => (key.get(a) === "") - (key.get(b) === "") || order(key.get(a), key.get(b)) * (down ? -1 : 1));
  body.append(...rows);
}));
filter();

// The table's heads stay in sight below the panel, however many lines that takes.
new ResizeObserver(() => document.documentElement.style.setProperty("--panel", `${by("panel").offsetHeight}px`)).observe(by("panel"));

// The sounds stand behind this script.
document.addEventListener("DOMContentLoaded", () => {
  for (const one of rows) for (const which of Object.keys(WORDS)) button(one, which).disabled = !block(one, which);
});
