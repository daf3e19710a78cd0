// A chart's values are the rows of its table: the one that is pointed at, or gone to by the arrow keys, stands above it.
(() => {
  const show = (figure, place) => {
    const rows = figure.querySelectorAll("tbody tr"), index = Math.min(Math.max(place, 0), rows.length - 1);
    if (index < 0 || figure.dataset.at === String(index)) return;
    figure.dataset.at = index;
    const [time, ...cells] = rows[index].cells, x = `${(100 * (index + 0.5)) / rows.length}%`;
    for (const end of ["x1", "x2"]) figure.querySelector(".cursor").setAttribute(end, x);
    figure.querySelector(".trend-value").textContent =
      [time.textContent, ...cells.map((cell) => `${cell.dataset.label} ${cell.textContent}`)].join(" · ");
  };
  const plotOf = (event) => event.target.closest?.("[data-chart] > svg");
  addEventListener("pointermove", (event) => {
    const plot = plotOf(event);
    if (!plot) return;
    const figure = plot.parentElement, { left, width } = plot.getBoundingClientRect();
    show(figure, Math.floor((figure.querySelectorAll("tbody tr").length * (event.clientX - left)) / width));
  });
  addEventListener("keydown", (event) => {
    const figure = plotOf(event)?.parentElement;
    if (!figure) return;
    const last = figure.querySelectorAll("tbody tr").length - 1, now = Number(figure.dataset.at ?? last);
    const place = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
    if (place === undefined) return;
    event.preventDefault();
    show(figure, place);
  });
})();
