// Select an area of the photo to search, by pointer or by keyboard.

const MIN_LONG = 0.05; // fractions of the photo's sides; an article number can be wide and low
const MIN_SHORT = 0.02;
const STEP = 0.04;

const tool = document.querySelector("[data-box-tool]");
const frame = tool.querySelector("[data-frame]");
const overlay = tool.querySelector("[data-overlay]");
const veil = tool.querySelector("[data-veil]");
const button = tool.querySelector("[data-select]");
const help = tool.querySelector("[data-box-help]");

const initial = tool.dataset.box ? tool.dataset.box.split(",").map(Number) : null;
let box = initial;
let start = null; // where the pointer was pressed
let link = null; // the detected box under the pointer: a click follows its link, a drag selects an area

const clamp = (value) => Math.min(1, Math.max(0, value));
const DRAG_DISTANCE = 6; // px
const selecting = () => tool.classList.contains("selecting");

function draw() {
  overlay.toggleAttribute("hidden", !box);
  if (box) veil.setAttribute("d", `M0 0H1V1H0Z M${box[0]} ${box[1]}H${box[2]}V${box[3]}H${box[0]}Z`);
}

function begin() {
  tool.classList.add("selecting");
  button.setAttribute("aria-pressed", "true");
  help.textContent = matchMedia("(pointer: coarse)").matches
    ? "Drag over the area to search."
    : "Drag over the area to search. Keyboard: arrow keys move it, Shift + arrow keys resize it, Enter searches, Escape cancels.";
  box ??= [0.25, 0.25, 0.75, 0.75];
  frame.tabIndex = 0;
  frame.setAttribute("role", "application");
  frame.setAttribute("aria-label", "Area of your photo to search");
  frame.focus({ preventScroll: true });
  draw();
}

function end() {
  tool.classList.remove("selecting");
  button.setAttribute("aria-pressed", "false");
  help.textContent = "";
  box = initial;
  start = null;
  frame.removeAttribute("tabindex");
  frame.removeAttribute("role");
  frame.removeAttribute("aria-label");
  draw();
}

function search() {
  const sides = box ? [box[2] - box[0], box[3] - box[1]] : [0, 0];
  if (Math.max(...sides) < MIN_LONG || Math.min(...sides) < MIN_SHORT) return end();
  const url = new URL(tool.dataset.url, location.href);
  url.searchParams.set("box", box.map((value) => +value.toFixed(3)).join(","));
  location.assign(url);
}

function place(event) {
  const area = frame.getBoundingClientRect();
  return [clamp((event.clientX - area.left) / area.width), clamp((event.clientY - area.top) / area.height)];
}

function onKey(event) {
  const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  if (event.key === "Escape") {
    end();
    button.focus();
  } else if (event.key === "Enter") search();
  else if (move) {
    const [dx, dy] = move;
    const [x0, y0, x1, y1] = box;
    if (event.shiftKey) box = [x0, y0, Math.max(x0 + MIN_LONG, clamp(x1 + dx)), Math.max(y0 + MIN_LONG, clamp(y1 + dy))];
    else if (x0 + dx >= 0 && x1 + dx <= 1 && y0 + dy >= 0 && y1 + dy <= 1) box = [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
    box = box.map(clamp);
    draw();
  } else return;
  event.preventDefault();
}

button.addEventListener("click", () => (selecting() ? end() : begin()));
frame.addEventListener("keydown", (event) => selecting() && onKey(event));

// A mouse can select at once; touch only after the button is pressed, because dragging also scrolls.
frame.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || (event.pointerType !== "mouse" && !selecting())) return;
  start = place(event);
  link = event.target.closest("a");
  if (link) return;
  event.preventDefault();
  frame.setPointerCapture(event.pointerId);
});
frame.addEventListener("dragstart", (event) => event.preventDefault());
frame.addEventListener("pointermove", (event) => {
  if (!event.buttons) start = null; // released outside the window
  if (!start) return;
  const [x, y] = place(event);
  if (link) {
    if (Math.hypot((x - start[0]) * frame.clientWidth, (y - start[1]) * frame.clientHeight) < DRAG_DISTANCE) return;
    link = null;
    frame.setPointerCapture(event.pointerId);
  }
  box = [Math.min(start[0], x), Math.min(start[1], y), Math.max(start[0], x), Math.max(start[1], y)];
  draw();
});
frame.addEventListener("pointerup", () => {
  if (!start) return;
  start = null;
  if (!link) search();
});
frame.addEventListener("pointercancel", end);
