// Picking rows of a list: one by one, a range with Shift, the whole page, or all that fits the filter.
(() => {
  "use strict";
  const picked = new Set();
  let last = null, all = false;
  const find = (name) => document.querySelector(`[data-${name}]`);
  const boxes = () => [...document.querySelectorAll("input[data-select]")];

  // Pushed rows and a fetched page are new elements: give them back what was picked, and forget what has gone.
  const paint = () => {
    const form = find("selection");
    if (!form) return;
    const here = boxes();
    const known = new Set(here.map((box) => box.value));
    for (const one of picked) if (!known.has(one)) picked.delete(one);
    for (const box of here) {
      box.checked = all || picked.has(box.value);
      box.closest("tr").ariaSelected = box.checked ? "true" : null;
    }
    const page = find("select-page"), full = here.length > 0 && here.every((box) => box.checked);
    page.checked = full;
    page.indeterminate = !full && picked.size > 0;
    const count = find("select-count");
    count.textContent = all ? count.dataset.all : `${picked.size} ${picked.size === 1 ? count.dataset.one : count.dataset.many}`;
    find("select-all").value = all ? "1" : "";
    find("select-filter").hidden = all || !full;
    find("select-none").hidden = !all && !picked.size;
    form.hidden = !all && !picked.size;
  };
  const none = () => { picked.clear(); all = false; last = null; };
  const set = (box, on) => { if (on) picked.add(box.value); else picked.delete(box.value); };

  document.addEventListener("click", (event) => {
    const { target } = event;
    if (target.matches("input[data-select]")) {
      if (all) { all = false; for (const box of boxes()) set(box, true); }
      const here = boxes(), at = here.indexOf(target), from = here.findIndex((box) => box.value === last);
      const range = event.shiftKey && from >= 0 ? here.slice(Math.min(at, from), Math.max(at, from) + 1) : [target];
      for (const box of range) set(box, target.checked);
      last = target.value;
    } else if (target.matches("input[data-select-page]")) {
      const on = target.checked;
      none();
      for (const box of boxes()) set(box, on);
    } else if (target.closest("[data-select-filter]")) {
      all = true;
      find("select-none").hidden = false;
      find("select-none").focus();
    } else if (target.closest("[data-select-none]")) {
      none();
      find("select-page").focus();
    } else return;
    paint();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && (all || picked.size)) { none(); paint(); }
  });
  for (const name of ["htmx:afterSwap", "htmx:oobAfterSwap", "htmx:wsAfterMessage"]) document.addEventListener(name, paint);
  addEventListener("pageshow", () => { for (const box of boxes()) if (box.checked) picked.add(box.value); paint(); });
})();
