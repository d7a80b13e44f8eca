// Tables: sorted by a click on a header, searched by name. Without scripts they stay as they are.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v ?? cell.textContent.trim();
  };
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    header.tabIndex = 0;
    const sort = () => {
      const rising = header.ariaSort ? header.ariaSort !== "ascending" : !header.dataset.falling;
      const sign = rising ? 1 : -1;
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        // What is undefined stays last, whichever way.
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
      });
      for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
      header.ariaSort = rising ? "ascending" : "descending";
      body.append(...rows);
    };
    header.addEventListener("click", sort);
    header.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort();
    });
  });
}
for (const field of document.querySelectorAll("input[data-searches]")) {
  const rows = [...document.getElementById(field.dataset.searches).tBodies[0].rows];
  const count = field.parentElement.querySelector("output");
  field.closest(".controls").hidden = false;
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    let found = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      found += !row.hidden;
    }
    count.textContent = wanted ? `${found} of ${rows.length}` : "";
  });
}
