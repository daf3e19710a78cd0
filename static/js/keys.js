// Keys of every page: the palette, the search, the pages by two letters; which groups of the navigation are folded.
(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const palette = find("palette"), asked = find("palette-q");
  if (!palette) return; // nobody is signed in

  for (const group of document.querySelectorAll("[data-fold]")) {
    const name = `fold-${group.dataset.fold}`;
    if (localStorage.getItem(name) && !group.querySelector("[aria-current]")) group.open = false;
    group.addEventListener("toggle", () => group.open ? localStorage.removeItem(name) : localStorage.setItem(name, "1"));
  }

  let since = -Infinity; // the moment of a "g", which waits for the page's letter
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (!palette.open) palette.showModal();
      asked.select();
      return;
    }
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!isPlain || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const link = event.timeStamp - since < 1500 && document.querySelector(`[data-jump="${CSS.escape(event.key)}"]`);
    since = -Infinity;
    if (link) link.click();
    else if (event.key === "g") { since = event.timeStamp; return; }
    else if (event.key === "?") find("keys").showModal();
    else if (event.key === "/") (find("q")?.offsetParent ? find("q") : null)?.focus();
    else return;
    event.preventDefault();
  });

  palette.addEventListener("keydown", (event) => {
    const stops = [asked, ...palette.querySelectorAll("li > a")], at = stops.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const isFound = find("palette-list").dataset.for === asked.value; // not for what was typed before
    if (step) stops[(at + step + stops.length) % stops.length].focus();
    else if (event.key === "Enter" && at === 0 && isFound && stops[1]) stops[1].click();
    else return;
    event.preventDefault();
  });
  for (const dialog of document.querySelectorAll("dialog.palette")) {
    dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); });
  }
})();
