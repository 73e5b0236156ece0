"use strict";

// Keeps the parts of a page that are marked with `data-live` up to date: asks for the page again every few seconds and
// takes over what has changed in them. A part says by `data-going` that something is under way, and is asked for sooner.
const parts = [...document.querySelectorAll("[data-live]")];

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
  const answer = await fetched(location.href, "text/html");
  if (answer === null) {
    return LATER;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) {
    take(part, page.getElementById(part.id));
  }
  return parts.some((part) => part.hasAttribute("data-going")) ? SOON : EVERY;
}

if (parts.length > 0) {
  follow(ask);
}
