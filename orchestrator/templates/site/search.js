"use strict";
document.documentElement.classList.remove("no-script");
const passages = JSON.parse(document.getElementById("passages").textContent);
const lowered = passages.map(([stage, heading, , text]) => `${stage} ${heading} ${text}`.toLowerCase());
const box = document.getElementById("search"), list = document.getElementById("found"), said = document.getElementById("count");
const most = 40;

const mark = (text, words) => {
  const places = words.map((word) => text.toLowerCase().indexOf(word)).filter((place) => place >= 0);
  const start = Math.max(0, (places[0] || 0) - 60), part = text.slice(start, start + 220);
  const line = document.createElement("span");
  let rest = part;
  line.append(start ? "… " : "");
  while (rest) {
    const found = words.map((word) => [rest.toLowerCase().indexOf(word), word.length]).filter(([place]) => place >= 0);
    if (!found.length) break;
    const [place, length] = found.sort((a, b) => a[0] - b[0])[0];
    const hit = document.createElement("mark");
    hit.textContent = rest.slice(place, place + length);
    line.append(rest.slice(0, place), hit);
    rest = rest.slice(place + length);
  }
  line.append(rest, start + 220 < text.length ? " …" : "");
  return line;
};
const look = () => {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  list.replaceChildren();
  if (!words.length) { said.textContent = ""; return; }
  const hits = passages.filter((_, place) => words.every((word) => lowered[place].includes(word)));
  said.textContent = `${hits.length} cells`;
  for (const [stage, heading, link, text] of hits.slice(0, most)) {
    const item = document.createElement("li"), anchor = document.createElement("a");
    anchor.href = link;
    anchor.textContent = `${stage}${heading ? `: ${heading}` : ""}`;
    item.append(anchor, document.createElement("br"), mark(text, words));
    list.append(item);
  }
};
box.addEventListener("input", look);
look();
