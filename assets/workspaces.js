"use strict";

// Keeps what a page says of workspaces up to date: asks every few seconds how they are, more often while something
// is under way. A workspace that has come or gone is the page's to show, so that the page is loaded anew.
const root = document.querySelector("[data-states]");
const shown = new Map([...document.querySelectorAll("[data-workspace]")].map((part) => [part.dataset.workspace, part]));
const isList = root !== null && !root.dataset.workspace;

function write(part, news) {
  const text = news[part.dataset.news];
  if (part.textContent !== text) {
    part.textContent = text;
  }
  if (part.dataset.news === "word") {
    part.className = `badge ${news.tone}`;
  }
  if (part.dataset.news === "sentence") {
    part.hidden = !text;
  }
}

function show(workspace, news) {
  for (const part of workspace.querySelectorAll("[data-news]")) {
    write(part, news);
  }
  for (const part of workspace.querySelectorAll("[data-if]")) {
    part.hidden = !news[part.dataset.if];
  }
}

function isTyping() {
  return [...document.querySelectorAll("input[type=text]")].some((field) => field.value);
}

function changed(workspaces) {
  if (isList) {
    return Object.keys(workspaces).sort().join() !== [...shown.keys()].sort().join();
  }
  return ![...shown.keys()].every((id) => id in workspaces);
}

async function ask() {
  const answer = await fetched(root.dataset.states, "application/json");
  if (answer === null) {
    return LATER;
  }
  const { workspaces } = await answer.json();
  if (changed(workspaces) && !isTyping()) {
    if (isList) {
      location.reload();
    } else {
      location.assign(document.querySelector(".trail a").href);
    }
    return LATER;
  }
  let pause = EVERY;
  for (const [id, workspace] of shown) {
    if (id in workspaces) {
      show(workspace, workspaces[id]);
      pause = ["going", "warn"].includes(workspaces[id].tone) ? SOON : pause;
    }
  }
  return pause;
}

if (root !== null) {
  follow(ask);
}
