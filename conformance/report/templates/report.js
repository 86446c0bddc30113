"use strict";
// Draws the table of all trials. Texts go in by textContent only: messages come from the frameworks under test.
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("filter");
const table = document.getElementById("table");
const LIMIT = 200;

const trials = data.rows.map(([c, p, v, m, anchor, flags, ratio, ulp, got, expected]) => {
  const [id, loss, title] = data.cases[c];
  const [place, target] = data.places[p];
  const [message, ...more] = data.messages[m].split("\n");
  const notes = [flags & 1 && "sharp", flags & 2 && "composed", message].filter(Boolean).join("; ");
  const verdict = data.verdicts[v];
  return {id: id + place, loss, title, target, verdict, anchor, ratio, ulp, got, expected, notes,
    text: `${id}${place} ${title} ${verdict} ${notes} ${more.join(" ")}`.toLowerCase()};
});

function add(parent, tag, text = "", name = "") {
  const node = parent.appendChild(document.createElement(tag));
  node.textContent = text;
  if (name) node.className = name;
  return node;
}

function draw() {
  const chosen = Object.fromEntries(new FormData(form));
  const words = chosen.text.toLowerCase().split(/\s+/);
  const found = trials.filter(t => words.every(word => t.text.includes(word))
    && ["verdict", "loss", "target"].every(key => !chosen[key] || t[key] === chosen[key]));
  const body = document.createElement("tbody");
  for (const t of found.slice(0, LIMIT)) {
    const row = add(body, "tr");
    add(add(row, "td"), "span", t.verdict, "badge v-" + t.verdict.replace(" ", "-"));
    const name = add(row, "td");
    const id = add(name, t.anchor ? "a" : "span");
    if (t.anchor) id.href = "#" + t.anchor;
    add(id, "code", t.id);
    for (const line of [t.title, t.notes]) if (line) add(name, "small", line);
    for (const figure of [t.ratio, t.ulp, t.got, t.expected]) add(row, "td", figure, "number");
  }
  table.tBodies[0].replaceWith(body);
  table.hidden = found.length === 0;
  const shown = found.length > LIMIT ? `; the first ${LIMIT} are shown` : "";
  const all = `${trials.length} trial${trials.length === 1 ? "" : "s"}`;
  document.getElementById("found").textContent = `${found.length} of ${all} found${shown}.`;
}

// An address such as #trials?verdict=mismatch&target=torch:cpu:eager sets the filter; #trial-7 unfolds that trial.
function follow() {
  if (location.hash.startsWith("#trials?")) {
    form.reset();
    for (const [key, value] of new URLSearchParams(location.hash.slice(8))) {
      if (form.elements[key]) form.elements[key].value = value;
    }
    draw();
    document.getElementById("trials").scrollIntoView();
  } else if (location.hash.startsWith("#trial-")) {
    const target = document.getElementById(location.hash.slice(1));
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    if (target) target.scrollIntoView();
  }
}

function fold(id, open) {
  const section = document.getElementById(id).parentElement;
  for (const node of section.querySelectorAll("details")) node.open = open;
}

form.addEventListener("input", draw);
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("reset", () => setTimeout(draw));
for (const button of document.querySelectorAll("[data-open]")) button.onclick = () => fold(button.dataset.open, true);
for (const button of document.querySelectorAll("[data-fold]")) button.onclick = () => fold(button.dataset.fold, false);
addEventListener("hashchange", follow);
// The address does not change when the same link is followed again.
addEventListener("click", event => {
  const link = event.target.closest("a");
  if (link && link.href === location.href) follow();
});
draw();
follow();
