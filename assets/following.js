"use strict";

// What the scripts of pages share that follow what happens: they ask every few seconds, sooner while something is under
// way, later after trouble, and not at all while nobody looks.
const EVERY = 5000;
const SOON = 2000;
const LATER = 15000;

// The answer; null when the person is signed out, which the page itself says once it is loaded anew.
async function fetched(address, type) {
  const answer = await fetch(address, { headers: { Accept: type } });
  if (answer.redirected) {
    location.reload();
    return null;
  }
  if (!answer.ok) {
    throw new Error(String(answer.status));
  }
  return answer;
}

// Calls `ask` again and again, which gives the pause until the next time.
function follow(ask) {
  async function once() {
    let pause = EVERY;
    if (!document.hidden) {
      try {
        pause = await ask();
      } catch {
        pause = LATER;
      }
    }
    setTimeout(once, pause);
  }
  setTimeout(once, SOON);
}
