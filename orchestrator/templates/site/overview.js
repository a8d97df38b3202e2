"use strict";
document.documentElement.classList.remove("no-script");
const table = document.getElementById("runs");
if (table) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const search = document.getElementById("search"), status = document.getElementById("status");
  const model = document.getElementById("model"), count = document.getElementById("count");
  const rows = [...body.rows].map((row, place) => ({ row, place, text: row.textContent.toLowerCase() }));

  const valueOf = (entry, column) => {
    const cell = entry.row.cells[column], value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim().toLowerCase();
    return value === "" ? NaN : Number(value);
  };
  const compare = (a, b) => {
    if (typeof a === "number" || typeof b === "number") {
      if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
      return Number.isNaN(b) ? -1 : a - b;
    }
    return a < b ? -1 : a > b ? 1 : 0;
  };
  const sortBy = (column) => {
    const head = heads[column], down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const missing = (value) => typeof value === "number" && Number.isNaN(value);
    rows.sort((a, b) => {
      const left = valueOf(a, column), right = valueOf(b, column), order = compare(left, right);
      const turned = missing(left) || missing(right) ? order : down ? -order : order;
      return turned || a.place - b.place;
    });
    body.append(...rows.map((entry) => entry.row));
  };
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text } of rows) {
      const fits = words.every((word) => text.includes(word)) && (!status.value || row.dataset.status === status.value)
        && (!model.value || row.dataset.model.split(" ").includes(model.value));
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === rows.length ? `${shown} runs` : `${shown} of ${rows.length} runs`;
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(column));
    head.replaceChildren(button);
  });
  for (const control of [search, status, model]) control.addEventListener("input", filter);
  filter();
}
