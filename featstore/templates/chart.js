// A chart of Observable Plot with a cursor: by mouse, by touch, and by the arrow keys alike.
function chart(host, { rows, draw, place, words }) {
  const spoken = document.createElement("output");
  spoken.className = "spoken";
  let plot, width, at = -1;
  const render = () => {
    width = host.clientWidth;
    plot = draw(Math.max(width, 280));
    plot.addEventListener("input", () => {
      if (!plot.value) return;
      at = rows.indexOf(plot.value);
      spoken.textContent = words(plot.value).replaceAll("\n", ", ");
    });
    host.replaceChildren(plot, spoken);
  };
  const show = (index) => {
    at = Math.max(0, Math.min(rows.length - 1, index));
    const svg = plot.matches("svg") ? plot : plot.querySelector("svg:last-of-type");
    const [x, y] = place(plot, rows[at]);
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    const where = { clientX: box.left + scale * x, clientY: box.top + scale * y };
    // The cursor is Plot's own: it follows where a mouse would be.
    svg.dispatchEvent(new PointerEvent("pointermove", { ...where, pointerType: "mouse" }));
  };
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
  host.tabIndex = 0;
  host.onkeydown = (event) => {
    const to = { Home: 0, End: rows.length - 1 }[event.key] ?? at + steps[event.key];
    if (isNaN(to) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(to);
  };
  host.onfocus = () => host.matches(":focus-visible") && at < 0 && show(0);
  render();
  host.watcher?.disconnect();
  host.watcher = new ResizeObserver(() => host.clientWidth && host.clientWidth !== width && render());
  host.watcher.observe(host);
  return { show };
}
const chartStyle = { background: "none", fontFamily: "inherit", fontSize: "12px", color: "inherit" };
