"use strict";

// Shows the end of a build's log first. While the build goes on, asks every two seconds for what is new, and
// loads the page anew when it is over.
const milestones = document.getElementById("milestones");
const log = document.getElementById("log");
const step = document.getElementById("step");
const badge = document.getElementById("badge");
const EVERY = 2000;
const LATER = 10000;
const MOST_CHARACTERS = 400000;
let offset = Number(log.dataset.offset);

function isAtEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

function append(text) {
  const follows = isAtEnd();
  log.append(text);
  // A page that is left open must not grow for ever; all of the log is there after a reload.
  while (log.textContent.length > MOST_CHARACTERS && log.childNodes.length > 1) {
    log.firstChild.remove();
  }
  if (follows) {
    log.scrollTop = log.scrollHeight;
  }
}

function line(milestone) {
  const title = document.createElement("span");
  title.textContent = milestone.title;
  if (milestone.note) {
    const note = document.createElement("span");
    note.className = "muted";
    note.textContent = `(${milestone.note})`;
    title.append(" ", note);
  }
  const time = document.createElement("time");
  time.className = "muted";
  time.dateTime = milestone.at;
  time.textContent = `${milestone.shown} UTC`;
  const item = document.createElement("li");
  item.append(title, time);
  return item;
}

function show(news) {
  milestones.replaceChildren(...news.milestones.map(line));
  if (news.log) {
    append(news.log);
  }
  offset = news.offset;
  badge.textContent = news.word;
  badge.className = `badge ${news.tone}`;
  if (step.textContent !== news.message) {
    step.textContent = news.message;
  }
}

async function ask() {
  let pause = EVERY;
  try {
    const answer = await fetch(`${log.dataset.news}?offset=${offset}`, { headers: { Accept: "application/json" } });
    if (answer.redirected || answer.status === 404) {
      // Signed out, or the app is gone: the page itself says which.
      location.reload();
      return;
    }
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const news = await answer.json();
    show(news);
    if (news.over) {
      location.reload();
      return;
    }
  } catch {
    pause = LATER;
  }
  setTimeout(ask, pause);
}

log.scrollTop = log.scrollHeight;
if (log.dataset.news) {
  setTimeout(ask, EVERY);
}
