"use strict";

// Keeps the parts of a page that are marked with `data-live` up to date: asks for the page again every few seconds and
// takes over what has changed in them. A part says by `data-going` that something is under way, and is asked for sooner.
const parts = [...document.querySelectorAll("[data-live]")];
const EVERY = 5000;
const SOON = 2000;
const LATER = 15000;

function worded(part) {
  // The tokens of forms are others each time.
  return part.innerHTML.replaceAll(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
}

function take(part, fresh) {
  const holdsFocus = part.contains(document.activeElement);
  if (fresh === null || holdsFocus || worded(part) === worded(fresh)) {
    return;
  }
  part.innerHTML = fresh.innerHTML;
  part.toggleAttribute("data-going", fresh.hasAttribute("data-going"));
}

async function ask() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) {
    // Signed out: the page itself says so.
    location.reload();
    return LATER;
  }
  if (!answer.ok) {
    throw new Error(String(answer.status));
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) {
    take(part, page.getElementById(part.id));
  }
  return parts.some((part) => part.hasAttribute("data-going")) ? SOON : EVERY;
}

async function follow() {
  let pause = EVERY;
  if (!document.hidden) {
    try {
      pause = await ask();
    } catch {
      pause = LATER;
    }
  }
  setTimeout(follow, pause);
}

if (parts.length > 0) {
  setTimeout(follow, SOON);
}
