// Any two runs of a board against each other: the gain of every class, from one bit for each row.
const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)}`);
const points = (value) => {
  const size = (100 * Math.abs(value)).toFixed(1);
  return Number(size) === 0 ? size : (value > 0 ? "+" : "−") + size;
};
const likely = (p) => (p < 0.001 ? "< 0.001" : p.toFixed(p >= 0.1 ? 2 : 3));
const counted = (n, noun) => `${n.toLocaleString("en")}\u00a0${noun}${n === 1 ? "" : "s"}`;

// Exact McNemar test: twice the smaller tail of a fair coin, and no more than 1.
function mcnemar(a, b) {
  const [n, k] = [a + b, Math.min(a, b)];
  let [log, tail] = [-n * Math.LN2, 0];
  for (let i = 0; i <= k; i++) {
    tail += Math.exp(log);
    log += Math.log((n - i) / (i + 1));
  }
  return Math.min(1, 2 * tail);
}

// Benjamini and Hochberg's adjustment, written into each row as q.
function adjust(rows) {
  const rising = [...rows].sort((a, b) => a.p - b.p);
  let least = 1;
  for (let i = rising.length; i > 0; i--) {
    least = Math.min(least, (rising[i - 1].p * rising.length) / i);
    rising[i - 1].q = least;
  }
}

const bits = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const bit = (bytes, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1;

function classGains(data, a, b) {
  const single = "hits" in data;
  const [right, other] = single ? [bits(data.hits[b]), bits(data.hits[a])] : [];
  let row = 0;
  const rows = data.classes.map((name, code) => {
    const n = data.n[code];
    if (!single) {
      const [before, after] = [data.precisions[a][code], data.precisions[b][code]];
      const gain = before === null || after === null ? null : after - before;
      return { name, n, before, after, gain };
    }
    let [onlyA, onlyB, both] = [0, 0, 0];
    for (const end = row + n; row < end; row++) {
      const [x, y] = [bit(other, row), bit(right, row)];
      both += x & y;
      onlyA += x & ~y & 1;
      onlyB += y & ~x & 1;
    }
    const [before, after] = [(both + onlyA) / n, (both + onlyB) / n];
    return { name, n, onlyA, onlyB, before, after, gain: (onlyB - onlyA) / n, p: mcnemar(onlyA, onlyB) };
  });
  const known = rows.filter((one) => one.n > 0 && one.gain !== null);
  if (single) adjust(known);
  return known.sort((x, y) => y.gain - x.gain).map((one, place) => ({ ...one, place }));
}

function explore(box) {
  const data = JSON.parse(box.querySelector("script").textContent);
  const single = "hits" in data;
  const [from, to] = box.querySelectorAll("select");
  const find = box.querySelector("input");
  const part = (name) => box.querySelector(`[data-part="${name}"]`);
  const [host, sentence, caption] = ["chart", "sentence", "caption"].map(part);
  const words = (one) => {
    const rows = single ? counted(one.n, "row") : counted(one.n, "positive");
    const lines = [one.name, `${rows}: ${percent(one.before)} → ${percent(one.after)} %`];
    lines.push(`gain ${points(one.gain)} points`);
    if (single) lines.push(`only before right: ${one.onlyA}, only after: ${one.onlyB}; q ${likely(one.q)}`);
    return lines.join("\n");
  };
  const colour = (one) => (one.gain > 0 ? "var(--blue)" : one.gain < 0 ? "var(--vermillion)" : "currentColor");
  const drawMany = (rows) => (width) =>
    Plot.plot({
      width, height: 340, marginLeft: 46, marginRight: 10, marginTop: 26, style: chartStyle,
      x: { label: `${rows.length.toLocaleString("en")} classes, largest gain first →`, ticks: 0 },
      y: { label: `↑ gain in ${single ? "accuracy" : "average precision"}, points`, percent: true, grid: true },
      marks: [
        ...[[Math.max, "var(--blue)"], [Math.min, "var(--vermillion)"]].map(([side, fill]) =>
          Plot.areaY(rows, { x: "place", y: (one) => side(0, one.gain), curve: "step", fill, fillOpacity: 0.45 })),
        Plot.lineY(rows, { x: "place", y: "gain", curve: "step", stroke: "currentColor", strokeOpacity: 0.6 }),
        Plot.ruleY([0], { stroke: "currentColor" }),
        Plot.dot(rows, Plot.pointerX({ x: "place", y: "gain", fill: colour, r: 5, maxRadius: Infinity })),
        Plot.tip(rows, Plot.pointerX({ x: "place", y: "gain", title: words, maxRadius: Infinity, lineHeight: 1.3 })),
      ],
    });
  const drawFew = (rows) => (width) => {
    const longest = Math.max(...rows.map((one) => one.name.length));
    return Plot.plot({
      width, height: 66 + 24 * rows.length, marginRight: 10, marginBottom: 40, style: chartStyle,
      marginLeft: Math.min(0.4 * width, 14 + 6.6 * longest),
      x: { label: `gain in ${single ? "accuracy" : "average precision"}, points →`, percent: true, grid: true },
      y: { domain: rows.map((one) => one.name), label: null, tickSize: 0 },
      marks: [
        Plot.barX(rows, { x: "gain", y: "name", fill: colour, fillOpacity: 0.75, insetTop: 2, insetBottom: 2 }),
        Plot.ruleX([0], { stroke: "currentColor" }),
        Plot.dot(rows, Plot.pointerY({ x: "gain", y: "name", fill: colour, r: 5, maxRadius: Infinity })),
        Plot.tip(rows, Plot.pointerY({ x: "gain", y: "name", title: words, maxRadius: Infinity, lineHeight: 1.3 })),
      ],
    });
  };
  const place = (plot, one) => {
    const [x, y] = [plot.scale("x"), plot.scale("y")];
    // Shares are drawn in percent.
    return host.dataset.few
      ? [x.apply(100 * one.gain), y.apply(one.name) + y.bandwidth / 2]
      : [x.apply(one.place), y.apply(100 * one.gain)];
  };
  const summary = (a, b, rows) => {
    const [one, two] = [data.runs[a], data.runs[b]];
    const start = `From ${one.label} to ${two.label}: ${percent(one.value)} % to ${percent(two.value)} %`;
    if (a === b) return `${start}; choose two different runs.`;
    let [first, , gap, low, high, p, different] = data.pairs.find(
      ([x, y]) => (x === a && y === b) || (x === b && y === a),
    );
    if (first === a) [gap, low, high] = [-gap, -high, -low];
    const range = low === null ? "" : ` (${points(low)} to ${points(high)})`;
    let only = "";
    if (single) {
      const [x, y] = ["onlyB", "onlyA"].map((key) => rows.reduce((sum, row) => sum + row[key], 0));
      only = ` ${counted(x, "row")} only the latter has right, ${counted(y, "row")} only the former.`;
    }
    const adjusted = p === null ? "" : `, p ${p < 0.001 ? "" : "= "}${likely(p)} after adjustment for ${counted(data.pairs.length, "pair")}`;
    return `${start}, ${points(gap)} points${range}.${only} The two ${different ? "are different" : "cannot be told apart"}${adjusted}.`;
  };
  const table = (name, rows) => {
    const list = part(name);
    list.hidden = !rows.length;
    list.querySelector("tbody").replaceChildren(...rows.map((one) => {
      const line = document.createElement("tr");
      const cells = [one.name, one.n.toLocaleString("en"), percent(one.before), percent(one.after), points(one.gain)];
      if (single) cells.push(likely(one.p), likely(one.q));
      cells.forEach((text, i) => {
        const cell = line.appendChild(document.createElement(i ? "td" : "th"));
        cell.textContent = text;
        if (i) cell.className = "n";
        else cell.scope = "row";
      });
      return line;
    }));
  };
  let rows, drawn;
  const update = () => {
    const [a, b] = [Number(from.value), Number(to.value)];
    rows = classGains(data, a, b);
    const share = (sign) => `${Math.round((100 * rows.filter((one) => Math.sign(one.gain) === sign).length) / rows.length)} %`;
    const few = rows.length <= Number(box.dataset.named);
    host.dataset.few = few ? "1" : "";
    host.ariaLabel = `Gain of each class from ${data.runs[a].label} to ${data.runs[b].label}; arrow keys go from class to class`;
    drawn = chart(host, { rows, draw: (few ? drawFew : drawMany)(rows), place, words });
    sentence.textContent = summary(a, b, rows);
    caption.textContent = `${share(1)} of classes improved, ${share(0)} unchanged, ${share(-1)} harmed. Point at the curve, touch it, or use the arrow keys.`;
    table("improved", rows.filter((one) => one.gain > 0).slice(0, 10));
    const lost = rows.filter((one) => one.gain < 0).sort((x, y) => x.gain - y.gain || data.classes.indexOf(x.name) - data.classes.indexOf(y.name));
    table("harmed", lost.slice(0, 10));
    seek();
  };
  const seek = () => {
    const wanted = find.value.trim().toLowerCase();
    if (!wanted) return;
    const exact = rows.findIndex((one) => one.name.toLowerCase() === wanted);
    const found = exact >= 0 ? exact : rows.findIndex((one) => one.name.toLowerCase().includes(wanted));
    find.ariaInvalid = found < 0;
    if (found >= 0) drawn.show(found);
  };
  for (const [i, select] of [from, to].entries()) {
    select.append(...data.runs.map((run, place) => new Option(run.label, place)));
    select.value = data.chosen[i];
    select.addEventListener("change", update);
  }
  find.addEventListener("input", seek);
  const names = box.querySelector("datalist");
  names.append(...data.classes.map((name) => new Option(name)));
  box.querySelector(".controls").hidden = false;
  update();
}
document.querySelectorAll(".explorer").forEach(explore);
