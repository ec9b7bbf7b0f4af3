// The review page: keys, drawing the area, and loading the next photo in advance. Without JavaScript, the forms work.

document.documentElement.classList.add("js");

const MIN_SIDE = 0.02; // fractions of the photo's sides
const STEP = 0.02;
const DRAG_DISTANCE = 6; // px; a shorter movement is a tap

const page = document.querySelector("[data-review]");
const form = page?.querySelector("[data-label]");
const tool = page?.querySelector("[data-box-tool]");
const shortcuts = page?.querySelector("[data-shortcuts]");
const clamp = (value) => Math.min(1, Math.max(0, value));
const parse = (text) => (text ? text.split(",").map(Number) : null);
const text = (box) => (box ? box.map((value) => +value.toFixed(3)).join(",") : "");

// The area

const frame = tool?.querySelector("[data-frame]");
const overlay = tool?.querySelector("[data-overlay]");
const veil = tool?.querySelector("[data-veil]");
const drawButton = tool?.querySelector("[data-draw]");
const help = tool?.querySelector("[data-box-help]");

let box = parse(tool?.dataset.box);
let drawn = Boolean(box); // a person or the shopper chose it, so choosing a product does not move it
let before = null; // the area when drawing began
let corner = null; // where the pointer was pressed, or the first of two taps
let dragging = false;

function show() {
  overlay.toggleAttribute("hidden", !box);
  if (box) veil.setAttribute("d", `M0 0H1V1H0Z M${box[0]} ${box[1]}H${box[2]}V${box[3]}H${box[0]}Z`);
  for (const field of page.querySelectorAll("[data-box-field]")) field.value = text(box);
}

const drawing = () => tool.classList.contains("drawing");

function begin() {
  before = box;
  tool.classList.add("drawing");
  drawButton.setAttribute("aria-pressed", "true");
  help.textContent = "Drag, or tap two corners. Arrow keys move the area, Shift + arrow keys resize it, Enter uses it, Escape cancels.";
  box ??= [0.25, 0.25, 0.75, 0.75];
  frame.tabIndex = 0;
  frame.setAttribute("role", "application");
  frame.setAttribute("aria-label", "Area of the photo");
  frame.focus({ preventScroll: true });
  show();
}

function end(use) {
  tool.classList.remove("drawing");
  drawButton.setAttribute("aria-pressed", "false");
  help.textContent = "";
  corner = null;
  dragging = false;
  for (const name of ["tabindex", "role", "aria-label"]) frame.removeAttribute(name);
  if (use && box && Math.min(box[2] - box[0], box[3] - box[1]) >= MIN_SIDE) search();
  else box = before;
  show();
}

/** Load the page for the area, so that its best matches are offered. */
function search() {
  drawn = true;
  const url = new URL(location.href);
  url.search = "";
  url.pathname = form.action.replace(/^https?:\/\/[^/]+/, "").replace(/\d+\/label$/, "");
  url.searchParams.set("item", form.action.match(/(\d+)\/label$/)[1]);
  url.searchParams.set("box", text(box) || "0,0,1,1");
  location.assign(url);
}

const place = (event) => {
  const area = frame.getBoundingClientRect();
  return [clamp((event.clientX - area.left) / area.width), clamp((event.clientY - area.top) / area.height)];
};
const between = ([x0, y0], [x1, y1]) => [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
const far = (from, to) => Math.hypot((from[0] - to[0]) * frame.clientWidth, (from[1] - to[1]) * frame.clientHeight) > DRAG_DISTANCE;

function onFrameKey(event) {
  const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  if (event.key === "Enter" || event.key === "Escape") {
    end(event.key === "Enter");
    drawButton.focus();
  } else if (move) {
    const [dx, dy] = move;
    const [x0, y0, x1, y1] = box;
    if (event.shiftKey) box = [x0, y0, Math.max(x0 + MIN_SIDE, clamp(x1 + dx)), Math.max(y0 + MIN_SIDE, clamp(y1 + dy))];
    else if (x0 + dx >= 0 && x1 + dx <= 1 && y0 + dy >= 0 && y1 + dy <= 1) box = [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
    show();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

if (drawButton) {
  drawButton.addEventListener("click", () => (drawing() ? end(false) : begin()));
  tool.querySelector("[data-whole]").addEventListener("click", () => {
    box = [0, 0, 1, 1];
    search();
  });
  frame.addEventListener("keydown", (event) => drawing() && onFrameKey(event));
  frame.addEventListener("dragstart", (event) => event.preventDefault());
  // A mouse can draw at once; touch only after the button is pressed, because dragging also scrolls.
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || (event.pointerType !== "mouse" && !drawing())) return;
    event.preventDefault();
    if (!drawing()) begin();
    frame.setPointerCapture(event.pointerId);
    dragging = true;
    if (corner) {
      box = between(corner, place(event));
      show();
    } else corner = place(event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!dragging || !far(corner, place(event))) return;
    box = between(corner, place(event));
    show();
  });
  frame.addEventListener("pointerup", (event) => {
    if (!dragging) return;
    dragging = false;
    if (far(corner, place(event))) end(true);
    else help.textContent = "Now tap the opposite corner.";
  });
  frame.addEventListener("pointercancel", () => end(false));
}

// The form

const radios = () => [...page.querySelectorAll('[data-candidates] input[name="choice"]')];
const category = page?.querySelector("[data-category]");
const none = page?.querySelector("[data-none]");

function choose(radio) {
  radio.checked = true;
  radio.focus();
  onChoice(radio);
}

function onChoice(radio) {
  if (radio.value) category.value = "";
  if (drawn || !radio.value) return;
  box = parse(radio.dataset.area);
  show();
}

form?.addEventListener("change", (event) => {
  if (event.target.name === "choice") onChoice(event.target);
  if (event.target.name === "choice" && event.target === none) category.focus();
});
category?.addEventListener("input", () => {
  if (category.value) none.checked = true;
});

// Keys

const remembered = "vsearch-review-shortcuts";
if (shortcuts) {
  shortcuts.checked = localStorage.getItem(remembered) !== "off";
  shortcuts.addEventListener("change", () => localStorage.setItem(remembered, shortcuts.checked ? "on" : "off"));
}

const typing = (element) => element.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=hidden])");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (shortcuts && !shortcuts.checked) return;
  const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (button) button.click();
  else if (!form) return;
  else if (/^[1-9]$/.test(event.key) && radios()[event.key - 1]) choose(radios()[event.key - 1]);
  else if (event.key === "Enter" && !event.target.closest("a, button, summary")) form.requestSubmit(form.querySelector("[data-save]"));
  else if (event.key === "c") category.focus();
  else if (event.key === "/") page.querySelector("#q").focus();
  else if (event.key === "b") drawButton.click();
  else if (event.key === "a") {
    const attributes = page.querySelector("[data-attributes]");
    if (!attributes) return;
    attributes.open = true;
    attributes.querySelector("input").focus();
  } else return;
  event.preventDefault();
});

// The next photo

if (page?.dataset.preload) {
  const load = async () => {
    const response = await fetch(page.dataset.preload, { headers: { Accept: "application/json" } });
    if (!response.ok || response.redirected) return;
    for (const address of (await response.json()).pictures) new Image().src = address;
  };
  addEventListener("load", () => load().catch(() => {})); // a failure does not matter: it is loaded later anyway
}
