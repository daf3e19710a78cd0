// What htmx and its ws extension leave open: focus, the live mark, close codes, rows that are not on this page.
(() => {
  "use strict";
  const mark = (tone, word) => {
    const live = document.getElementById("f-live");
    if (live) { live.dataset.tone = tone; live.textContent = live.dataset[word]; }
  };

  // A frame goes to every page of its kind: keep what stands here; rows of a list that are not shown only count as new.
  const unseen = new Set();
  const shown = (text) => {
    const frame = document.createElement("template");
    frame.innerHTML = text;
    for (const part of [...frame.content.children]) {
      if (document.getElementById(part.id)) continue;
      if (part.dataset.list && document.getElementById(part.dataset.list)) unseen.add(part.id);
      part.remove();
    }
    for (const id of unseen) if (document.getElementById(id)) unseen.delete(id); // the page was fetched since
    const pill = document.getElementById("new-rows");
    if (pill && unseen.size) { pill.hidden = false; pill.querySelector("b").textContent = unseen.size; }
    return frame.innerHTML;
  };
  const came = [];
  htmx.defineExtension("shown-only", {
    transformResponse(text, request) {
      if (request) return text; // an answer over HTTP is for whoever asked
      if (fetching) came.push(text);
      return shown(text);
    },
  });

  // "/" goes to the search of the top bar, from wherever nobody is writing.
  document.addEventListener("keydown", (event) => {
    const field = document.getElementById("q");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !field?.offsetParent) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    field.focus();
  });

  // What is shown once is copied with one click; without a script it is selected by hand.
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
      button.textContent = "Copied";
    });
  }

  // A form that was pushed has no token of its own: it goes with the page's.
  document.addEventListener("submit", ({ target: form }) => {
    if (form.method !== "post" || form.elements.csrfmiddlewaretoken || form.hasAttribute("hx-post")) return;
    const token = JSON.parse(document.body.getAttribute("hx-headers"))["x-csrftoken"];
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "csrfmiddlewaretoken", value: token }));
  });

  let held = null;
  document.addEventListener("htmx:wsBeforeMessage", () => { held = document.activeElement; });
  document.addEventListener("htmx:wsAfterMessage", () => {
    // A pushed row is a new element: give its focus back, without scrolling.
    if (held?.id && !held.isConnected) document.getElementById(held.id)?.focus({ preventScroll: true });
    held = null;
  });

  let ofMain = null; // of forms that answer with all of main, the one sent last is shown, whichever is answered last
  document.addEventListener("htmx:beforeRequest", ({ detail: { target, xhr } }) => {
    if (target.matches("main")) ofMain = xhr;
    const answered = (swap) => {
      if (swap.detail.xhr !== xhr) return;
      target.removeEventListener("htmx:beforeSwap", answered);
      if (target.matches("main") && xhr !== ofMain) { swap.detail.shouldSwap = false; return; }
      // A push may replace the row while its request is under way; htmx would swap the answer into the removed row, unseen.
      if (target.isConnected) return;
      swap.detail.target = document.getElementById(target.id) ?? target;
      if (!ofPage(swap)) return;
      // The answer to a form replaced all of main meanwhile: it is newer than what the page asked for before.
      swap.detail.shouldSwap = false;
      fetching = document.getElementById("f-page")?.classList.contains("htmx-request") ?? false;
    };
    target.addEventListener("htmx:beforeSwap", answered);
  });

  // Chromium scrolls to a focused hx-preserve input while it waits outside the swapped region: stay where the reader was.
  let y = 0;
  document.addEventListener("htmx:beforeSwap", () => { y = scrollY; });
  document.addEventListener("htmx:afterSwap", () => scrollTo(0, y));

  // Countdowns run between frames; the server's time of the page is the reference, so a wrong clock here does not matter.
  const skew = Date.now() - Number(document.documentElement.dataset.now || Date.now());
  const words = (left) => left < 60 ? `${left} s` : left < 600 ? `${Math.floor(left / 60)} min ${String(left % 60).padStart(2, "0")} s`
    : left < 3600 ? `${Math.floor(left / 60)} min` : left < 86400 ? `${Math.floor(left / 3600)} h ${String(Math.floor(left % 3600 / 60)).padStart(2, "0")}`
    : `${Math.floor(left / 86400)} d ${String(Math.floor(left % 86400 / 3600)).padStart(2, "0")} h`;
  let asked = 0;
  setInterval(() => {
    let over = false;
    for (const at of document.querySelectorAll("[data-until]")) {
      const left = Math.round(Number(at.dataset.until) - (Date.now() - skew) / 1000);
      at.textContent = words(Math.max(left, 0));
      over ||= left < -2;
    }
    // A countdown that ended without a push: what it stood for has happened, so fetch what comes next.
    if (over && Date.now() - asked > 10000) { asked = Date.now(); document.body.dispatchEvent(new Event("resync")); }
  }, 1000);

  // Nothing is pushed when no head comes: the bar finds out by itself, in the words of pulse.py.
  setInterval(() => {
    const say = document.querySelector("#f-head .say[data-late]"), time = (Date.now() - skew) / 1000;
    if (!say || time < say.dataset.late) return;
    const [tone, word] = time < say.dataset.gone ? ["warn", "no new head"] : ["bad", "chain stalled"];
    if (say.dataset.tone === tone || say.dataset.tone === "bad") return;
    say.dataset.tone = tone;
    say.querySelector("use").setAttribute("href", `#i-${tone}`);
    say.lastChild.textContent = word;
  }, 1000);

  // One polite line for who cannot see the page: its verdict, when that has changed, at most every 10 s.
  let said = "", spoken = 0;
  setInterval(() => {
    const verdict = document.getElementById("f-verdict")?.textContent.trim() ?? "";
    if (!said) said = verdict;
    if (verdict === said || Date.now() - spoken < 10000) return;
    document.getElementById("announce").textContent = said = verdict;
    spoken = Date.now();
  }, 1000);

  document.addEventListener("htmx:wsOpen", () => mark("ok", "live"));
  document.addEventListener("htmx:wsClose", (event) => {
    const { code } = event.detail.event;
    mark("bad", "offline");
    if (code === 4401) { location.reload(); return; } // the server sends the page to the login
    // The extension dials again after 1006, 1011, 1012 and 1013 only; proxies and servers also say 1000, 1001, 1005.
    if (code <= 1005) setTimeout(() => event.detail.socketWrapper.reconnect(), 500 + 4500 * Math.random());
  });

  // No socket: the page fetches itself now and then, so that it goes on telling the truth.
  const resync = () => document.body.dispatchEvent(new Event("resync"));
  const offline = () => document.getElementById("f-live")?.dataset.tone !== "ok";
  setInterval(() => { if (offline() || failed) resync(); }, 15000);

  // It cannot be fetched either: keep the last good content, in grey, and say since when it is old.
  let fresh = Date.now(), failed = false;
  const banner = document.getElementById("stale");
  const told = (reason) => {
    failed = reason !== null;
    if (!failed) fresh = Date.now();
    if (!banner) return;
    banner.hidden = !failed;
    banner.parentElement.classList.toggle("is-stale", failed);
    document.getElementById("stale-since").textContent = `${new Date(fresh).toISOString().slice(11, 19)} UTC`;
    document.getElementById("stale-id").textContent = reason ?? "";
  };
  let fetching = false, again = false;
  const ofPage = ({ detail }) => (detail.requestConfig ?? detail).elt.id === "f-page"; // the swap took it out of the event
  // A listening socket outlives its process, so a dead server answers with silence.
  document.addEventListener("htmx:configRequest", (event) => { if (ofPage(event)) event.detail.timeout = 8000; });
  const failure = (event) => { if (ofPage(event)) told(event.detail.xhr?.getResponseHeader("x-request-id") ?? ""); };
  for (const name of ["sendError", "timeout", "responseError"]) document.addEventListener(`htmx:${name}`, failure);
  document.addEventListener("htmx:afterRequest", (event) => { if (ofPage(event) && event.detail.successful) told(null); });
  // A fetched page may be older than what was pushed while it was under way: that goes on top of it, before it is painted.
  document.addEventListener("htmx:beforeRequest", (event) => { if (ofPage(event)) { fetching = true; came.length = 0; } });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!ofPage(event)) return;
    if (!event.detail.successful) { fetching = again = false; return; } // htmx has kept whatever asked meanwhile
    for (const text of came.splice(0)) {
      if (!text.includes('id="f-resync"')) htmx.swap("#main", shown(text), { swapStyle: "none", swapDelay: 0, settleDelay: 0 });
    }
  });
  // Asked for while it was under way, it is fetched once more: htmx drops that wish with the element that made it.
  for (const name of ["htmx:wsOpen", "resync"]) document.body.addEventListener(name, () => { again ||= fetching; });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (!fetching || event.target.id !== "f-page") return;
    fetching = false;
    if (again) { again = false; resync(); }
  });
  document.addEventListener("htmx:wsAfterMessage", () => { if (!failed) fresh = Date.now(); });
  // Not where the page is being left: a second way to the login beside the first has crashed Chromium.
  document.addEventListener("htmx:wsClose", ({ detail }) => { if (detail.event.code !== 4401) resync(); });
  document.getElementById("stale-retry")?.addEventListener("click", resync);
  setInterval(() => {
    const live = document.getElementById("f-live");
    if (live && failed && offline()) live.textContent = `Stale ${words(Math.round((Date.now() - fresh) / 1000))}`;
  }, 1000);
})();
