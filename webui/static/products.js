// Selecting products: all of a page at once, and how many are selected.

const all = document.querySelector("[data-select-all]");
const boxes = [...document.querySelectorAll('input[name="sku"]')];
const shown = document.querySelector("[data-selected]");

function count() {
  const selected = boxes.filter((box) => box.checked).length;
  shown.textContent = `(${selected})`;
  const switchAll = all.querySelector("input");
  switchAll.checked = selected === boxes.length;
  switchAll.indeterminate = selected > 0 && selected < boxes.length;
}

if (all && shown) {
  all.hidden = false;
  all.addEventListener("change", (event) => {
    for (const box of boxes) box.checked = event.target.checked;
    count();
  });
  for (const box of boxes) box.addEventListener("change", count);
  count();
}
