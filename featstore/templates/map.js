// The map of test rows: point at one, or look for a class.
function showMap(box) {
  const data = JSON.parse(box.querySelector("script").textContent);
  const host = box.querySelector('[data-part="chart"]');
  const find = box.querySelector("input");
  const rows = data.x.map((x, i) => ({
    x, y: data.y[i], id: data.ids[i], truth: data.classes[data.truth[i]], called: data.classes[data.called[i]],
  }));
  const words = (one) =>
    [one.truth, ...(one.called === one.truth ? [] : [`taken for ${one.called}`]), one.id].join("\n");
  const update = () => {
    const wanted = find.value.trim().toLowerCase();
    const chosen = (one) => one.truth.toLowerCase() === wanted;
    const searched = rows.some(chosen);
    const strength = (one) => (!searched || chosen(one) ? 0.7 : 0.12);
    chart(host, {
      rows, words,
      place: (plot, one) => [plot.scale("x").apply(one.x), plot.scale("y").apply(one.y)],
      draw: (width) => Plot.plot({
        width: Math.min(width, 640), margin: 4, inset: 8, style: chartStyle, aspectRatio: 1,
        x: { axis: null }, y: { axis: null },
        marks: [
          Plot.dot(rows, {
            x: "x", y: "y", r: searched ? 3 : 2.4, fillOpacity: strength,
            fill: (one) => (one.called === one.truth ? "var(--blue)" : "var(--vermillion)"),
          }),
          Plot.dot(rows, Plot.pointer({ x: "x", y: "y", r: 6, stroke: "currentColor" })),
          Plot.tip(rows, Plot.pointer({ x: "x", y: "y", title: words, lineHeight: 1.3 })),
        ],
      }),
    });
  };
  box.querySelector("datalist").append(...[...new Set(rows.map((one) => one.truth))].sort().map((name) => new Option(name)));
  find.addEventListener("input", update);
  box.querySelector(".controls").hidden = false;
  update();
}
document.querySelectorAll(".map").forEach(showMap);
