// What htmx and its ws extension leave open: focus, the live mark, close codes, rows that are not on this page.
(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const on = (names, act, node = document) => { for (const name of names.split(" ")) node.addEventListener(name, act); };
  const mark = (tone, word, live = find("f-live")) => {
    if (live) { live.dataset.tone = tone; live.textContent = live.dataset[word]; }
  };
  mark("idle", "connecting"); // without scripts there are no updates, and the page says so

  // A frame goes to every page of its kind: keep what stands here; rows that belong on this page of a list count as new.
  const unseen = new Set();
  const shown = (text) => {
    const frame = document.createElement("template"), pill = find("new-rows");
    frame.innerHTML = text;
    for (const part of [...frame.content.children]) {
      if (find(part.id)) continue;
      if (Number(part.dataset.order) > Number(pill?.dataset.oldest)) unseen.add(part.id); else unseen.delete(part.id);
      part.remove();
    }
    if (pill) { pill.hidden = !unseen.size; pill.querySelector("b").textContent = unseen.size; }
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

  // What is shown once is selected and copied with one click; the newer way needs a page with a certificate.
  on("click", ({ target: { id, dataset } }) => {
    if (id === "stale-retry") resync();
    if (dataset.copy) { find(dataset.copy).select(); document.execCommand("copy"); }
    if ("print" in dataset) window.print();
  });

  // A form that was pushed has no token of its own: it goes with the page's.
  on("submit", ({ target: form }) => {
    if (form.method !== "post" || form.elements.csrfmiddlewaretoken || form.hasAttribute("hx-post")) return;
    const token = JSON.parse(document.body.getAttribute("hx-headers"))["x-csrftoken"];
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "csrfmiddlewaretoken", value: token }));
  });

  let ofMain = null; // of forms that answer with all of main, the one sent last is shown, whichever is answered last
  on("htmx:beforeRequest", ({ detail: { target, xhr } }) => {
    if (target.matches("main")) ofMain = xhr;
    const answered = (swap) => {
      if (swap.detail.xhr !== xhr) return;
      target.removeEventListener("htmx:beforeSwap", answered);
      if (target.matches("main") && xhr !== ofMain) { swap.detail.shouldSwap = false; return; }
      // A push may replace the row while its request is under way; htmx would swap the answer into the removed row, unseen.
      if (target.isConnected) return;
      swap.detail.target = find(target.id) ?? target;
      if (!ofPage(swap)) return;
      // The answer to a form replaced all of main meanwhile: it is newer than what the page asked for before.
      swap.detail.shouldSwap = false;
      fetching = find("f-page")?.classList.contains("htmx-request") ?? false;
    };
    target.addEventListener("htmx:beforeSwap", answered);
  });

  // What is fetched or pushed is new elements: focus, what somebody has typed, picked or opened, and what was refused stay.
  let held = null, typed = [], refused = [], opened = new Map();
  const all = (selector) => [...document.querySelectorAll(selector)], title = (one) => one.id || one.textContent;
  const isBox = (field) => field.type === "checkbox" || field.type === "radio";
  const isChanged = (field) => isBox(field) ? field.checked !== field.defaultChecked
    : field.options ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected))
    : field.value !== field.defaultValue;
  const keep = () => {
    held = document.activeElement;
    typed = all("main form :is(input:not([type=hidden], [data-select]), select, textarea)[id]").filter(isChanged);
    refused = all("#f-page form[id]:has([aria-invalid])");
    opened = new Map(all("#f-page summary").map((one) => [title(one), one.parentElement.open]));
  };
  const giveBack = () => {
    for (const one of all("#f-page summary")) one.parentElement.open = opened.get(title(one)) ?? one.parentElement.open;
    for (const form of refused) find(form.id)?.replaceWith(form);
    if (held?.id && held !== document.activeElement) find(held.id)?.focus({ preventScroll: true });
    for (const old of typed) {
      const field = find(old.id);
      if (!field || field === old) continue;
      field[isBox(old) ? "checked" : old.files ? "files" : "value"] = isBox(old) ? old.checked : old.files ?? old.value;
      if (field === document.activeElement && old.selectionStart) field.setSelectionRange(old.selectionStart, old.selectionEnd);
    }
  };
  on("htmx:beforeSwap", (event) => { if (ofPage(event)) keep(); });
  on("htmx:afterSwap", ({ detail }) => { if (detail.requestConfig?.elt.id === "f-page") giveBack(); });
  on("htmx:wsBeforeMessage", keep);
  on("htmx:wsAfterMessage", giveBack);

  // Whether a click that got no answer was carried out is not known: say so, so that nobody repeats it unseen.
  const unconfirmed = (event) => {
    const banner = find("unconfirmed");
    if (ofPage(event) || !banner || event.detail.requestConfig.verb === "get") return;
    const { xhr } = event.detail, isRefused = xhr?.status >= 400 && xhr.status < 500;
    find("unconfirmed-id").textContent = xhr?.getResponseHeader("x-request-id") ?? "";
    find("unconfirmed-maybe").hidden = isRefused;
    find("unconfirmed-refused").hidden = !isRefused;
    banner.hidden = false;
  };
  on("htmx:sendError htmx:timeout htmx:responseError", unconfirmed);
  on("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig.verb !== "get" && find("unconfirmed")) find("unconfirmed").hidden = true;
  });

  // Chromium scrolls to a focused hx-preserve input while it waits outside the swapped region: stay where the reader was.
  let y = 0;
  on("htmx:beforeSwap", () => { y = scrollY; });
  on("htmx:afterSwap", () => scrollTo(0, y));

  // Countdowns run between frames; the server's time of the page is the reference, so a wrong clock here does not matter.
  const skew = Date.now() - Number(document.documentElement.dataset.now || Date.now());
  const now = () => (Date.now() - skew) / 1000;
  const two = (count) => String(Math.floor(count)).padStart(2, "0");
  const [s, min, h, d, last] = document.documentElement.dataset.units.split(",");
  const words = (left) => left < 60 ? `${left} ${s}` : left < 600 ? `${left / 60 | 0} ${min} ${two(left % 60)} ${s}`
    : left < 3600 ? `${left / 60 | 0} ${min}` : left < 86400 ? `${left / 3600 | 0} ${h} ${two(left % 3600 / 60)}${last}`
    : `${left / 86400 | 0} ${d} ${two(left % 86400 / 3600)} ${h}`;
  let asked = 0;
  const countdowns = () => {
    let over = false;
    for (const at of document.querySelectorAll("[data-until]")) {
      const left = Math.round(Number(at.dataset.until) - now());
      at.textContent = words(Math.max(left, 0));
      over ||= left < -2;
    }
    // A countdown that ended without a push: what it stood for has happened, so fetch what comes next.
    if (over && Date.now() - asked > 10000) { asked = Date.now(); resync(); }
  };

  // Nothing is pushed when no head comes: the bar finds out by itself, in the words that stand there.
  const pulse = () => {
    const say = document.querySelector("#f-head .say[data-late]");
    if (!say || now() < say.dataset.late) return;
    const { gone, lateWord, goneWord } = say.dataset, [tone, word] = now() < gone ? ["warn", lateWord] : ["bad", goneWord];
    if (say.dataset.tone === tone || say.dataset.tone === "bad") return;
    say.dataset.tone = tone;
    say.querySelector("use").setAttribute("href", `#i-${tone}`);
    say.lastChild.textContent = word;
  };

  // One polite line for who cannot see the page: its verdict but for the time, when that has changed, at most every 10 s.
  const verdictText = () => [...find("f-verdict")?.childNodes ?? []].map((n) => n.className ? "" : n.textContent).join("").trim();
  let said = verdictText(), spoken = 0;
  const announce = () => {
    const verdict = verdictText();
    if (verdict === (said ||= verdict) || Date.now() - spoken < 10000) return;
    find("announce").textContent = said = verdict;
    spoken = Date.now();
  };

  // Without a socket the page fetches itself now and then, so that it goes on telling the truth.
  const resync = () => document.body.dispatchEvent(new Event("resync"));
  setInterval(() => { if (failed || find("f-live")?.dataset.tone !== "ok") resync(); }, 15000);
  on("htmx:wsOpen", () => mark("ok", "live"));
  on("htmx:wsClose", ({ detail: { event: { code }, socketWrapper } }) => {
    mark("bad", "offline");
    // The server sends the page to the login: nothing else here, as a second way there has crashed Chromium.
    if (code === 4401) { location.reload(); return; }
    resync();
    // The extension dials again after 1006, 1011, 1012 and 1013 only; proxies and servers also say 1000, 1001, 1005.
    if (code <= 1005) setTimeout(() => socketWrapper.reconnect(), 500 + 4500 * Math.random());
  });

  // It cannot be fetched either: keep the last good content, and say since when it is old.
  let fresh = Date.now(), failed = false;
  const told = (reason) => {
    const banner = find("stale"), { offset, zone } = banner?.dataset ?? {};
    failed = reason !== null;
    if (!failed) fresh = Date.now();
    if (!banner) return;
    banner.hidden = !failed;
    banner.parentElement.classList.toggle("is-stale", failed);
    find("stale-since").textContent = `${new Date(fresh + offset * 6e4).toISOString().slice(11, 19)} ${zone}`;
    find("stale-id").textContent = reason ?? "";
  };
  setInterval(() => { countdowns(); pulse(); announce(); }, 1000);

  let fetching = false, again = false;
  const ofPage = ({ detail }) => (detail.requestConfig ?? detail).elt.id === "f-page"; // the swap took it out of the event
  // A listening socket outlives its process, so a dead server answers with silence.
  on("htmx:configRequest", (event) => { if (ofPage(event)) event.detail.timeout = 8000; });
  on("htmx:sendError htmx:timeout htmx:responseError", (event) => {
    if (ofPage(event)) told(event.detail.xhr?.getResponseHeader("x-request-id") ?? "");
  });
  // A fetched page may be older than what was pushed while it was under way: that goes on top of it, before it is painted.
  on("htmx:beforeRequest", (event) => { if (ofPage(event)) { fetching = true; came.length = 0; } });
  on("htmx:afterRequest", (event) => {
    if (!ofPage(event)) return;
    if (!event.detail.successful) { fetching = again = false; return; } // htmx has kept whatever asked meanwhile
    told(null);
    unseen.clear();
    keep();
    for (const text of came.splice(0)) {
      if (!text.includes('id="f-resync"')) htmx.swap("#main", shown(text), { swapStyle: "none", swapDelay: 0, settleDelay: 0 });
    }
    giveBack();
  });
  // Asked for while it was under way, it is fetched once more: htmx drops that wish with the element that made it.
  on("htmx:wsOpen resync", () => { again ||= fetching; }, document.body);
  on("htmx:afterSettle", (event) => {
    if (!fetching || event.target.id !== "f-page") return;
    fetching = false;
    if (again) { again = false; resync(); }
  });
  on("htmx:wsAfterMessage", () => { if (!failed) fresh = Date.now(); });
})();
