// An area of a photo, chosen by dragging, by its corners, by tapping two corners, or by keyboard.

const MIN_SIDE = 0.02; // fractions of the photo's sides
const STEP = 0.02;
const DRAG_DISTANCE = 6; // px; a shorter movement is a tap
const START = [0.25, 0.25, 0.75, 0.75];
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const clamp = (value) => Math.min(1, Math.max(0, value));
const between = ([x0, y0], [x1, y1]) => [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
export const parseBox = (text) => (text ? text.split(",").map(Number) : null);
export const boxText = (box) => (box ? box.map((value) => +value.toFixed(3)).join(",") : "");

function shifted([x0, y0, x1, y1], dx, dy) {
  const x = Math.min(1 - x1, Math.max(-x0, dx));
  const y = Math.min(1 - y1, Math.max(-y0, dy));
  return [x0 + x, y0 + y, x1 + x, y1 + y];
}

/** Move one corner (bit 0: right, bit 1: bottom) to a point; beyond the opposite corner, they change sides. */
function withCorner([x0, y0, x1, y1], corner, point) {
  return between([corner & 1 ? x0 : x1, corner & 2 ? y0 : y1], point);
}

/**
 * Let the user choose an area of the photo in `tool`, which contains [data-frame], [data-overlay], [data-veil],
 * [data-draw] (a button), [data-box-help] and optionally [data-crop-actions] with [data-crop-search] and [data-crop-cancel].
 *
 * `search(box)` is called with an area to search: at once after a drag, or with [data-crop-actions], while the button is
 * pressed, only by "Search" or Enter. `onShow(box)` is called when the area changes.
 */
export function cropTool(tool, { search, onShow = () => {} }) {
  const find = (name) => tool.querySelector(`[data-${name}]`);
  const [frame, overlay, veil, button, help, actions] = ["frame", "overlay", "veil", "draw", "box-help", "crop-actions"].map(find);
  const handles = (tool.dataset.corners ?? "Top left corner|Top right corner|Bottom left corner|Bottom right corner").split("|").map((label) => {
    const handle = document.createElement("button");
    handle.type = "button";
    handle.className = "crop-handle";
    handle.setAttribute("aria-label", label);
    frame.append(handle);
    return handle;
  });
  const mark = document.createElement("span"); // the first of two tapped corners
  mark.className = "crop-mark";
  mark.hidden = true;
  frame.append(mark);
  const how = matchMedia("(pointer: coarse)").matches ? help.dataset.how : `${help.dataset.how} ${help.dataset.keys}`;
  let box = parseBox(tool.dataset.box);
  let before = box; // when drawing began
  let tapped = null; // the first of two corners
  let drag = null; // {kind: "draw", "move" or a corner, from, box, moved}

  const drawing = () => tool.classList.contains("drawing");

  function show() {
    overlay.toggleAttribute("hidden", !box);
    if (box) veil.setAttribute("d", `M0 0H1V1H0Z M${box[0]} ${box[1]}H${box[2]}V${box[3]}H${box[0]}Z`);
    handles.forEach((handle, corner) => {
      handle.hidden = !box || (box[2] - box[0] === 1 && box[3] - box[1] === 1 && !drawing());
      if (!box) return;
      handle.style.left = `clamp(14px, ${100 * box[corner & 1 ? 2 : 0]}%, 100% - 14px)`;
      handle.style.top = `clamp(14px, ${100 * box[corner & 2 ? 3 : 1]}%, 100% - 14px)`;
    });
    mark.hidden = !tapped;
    if (tapped) [mark.style.left, mark.style.top] = tapped.map((part) => `${100 * part}%`);
    onShow(box);
  }

  function begin() {
    before = box;
    tool.classList.add("drawing");
    button.setAttribute("aria-pressed", "true");
    help.textContent = how;
    if (actions) actions.hidden = false;
    box ??= START;
    frame.tabIndex = 0;
    frame.setAttribute("role", "application");
    frame.setAttribute("aria-label", button.dataset.area);
    frame.focus({ preventScroll: true });
    show();
  }

  function leave() {
    tool.classList.remove("drawing");
    button.setAttribute("aria-pressed", "false");
    help.textContent = "";
    if (actions) actions.hidden = true;
    tapped = drag = null;
    for (const name of ["tabindex", "role", "aria-label"]) frame.removeAttribute(name);
    show();
  }

  function cancel() {
    box = before;
    leave();
  }

  function use() {
    if (!box || Math.min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE) return cancel();
    before = box;
    leave();
    search(box);
  }

  function place(event) {
    const area = frame.getBoundingClientRect();
    return [clamp((event.clientX - area.left) / area.width), clamp((event.clientY - area.top) / area.height)];
  }

  function far(from, to) {
    return Math.hypot((from[0] - to[0]) * frame.clientWidth, (from[1] - to[1]) * frame.clientHeight) > DRAG_DISTANCE;
  }

  function onKey(event) {
    const corner = handles.indexOf(event.target);
    const move = ARROWS[event.key];
    if (event.key === "Enter") {
      use();
      button.focus();
    } else if (event.key === "Escape") {
      cancel();
      button.focus();
    } else if (move && box) {
      const [dx, dy] = move;
      const [x0, y0, x1, y1] = box;
      if (corner >= 0) {
        const moved = [...box];
        const [side, level] = [corner & 1 ? 2 : 0, corner & 2 ? 3 : 1];
        moved[side] = clamp(moved[side] + dx);
        moved[level] = clamp(moved[level] + dy);
        if (Math.min(moved[2] - moved[0], moved[3] - moved[1]) >= MIN_SIDE) box = moved;
      } else if (event.shiftKey) box = [x0, y0, Math.max(x0 + MIN_SIDE, clamp(x1 + dx)), Math.max(y0 + MIN_SIDE, clamp(y1 + dy))].map(clamp);
      else box = shifted(box, dx, dy);
      show();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // A mouse can draw at once; touch only after the button is pressed, because dragging also scrolls.
  function onDown(event) {
    const corner = handles.indexOf(event.target);
    if (event.button !== 0 || (corner < 0 && event.pointerType !== "mouse" && !drawing())) return;
    const from = place(event);
    const inside = box && !tapped && from[0] > box[0] && from[0] < box[2] && from[1] > box[1] && from[1] < box[3];
    drag = { kind: corner >= 0 ? corner : inside ? "move" : "draw", from: tapped ?? from, pressed: from, box, moved: false };
    if (!event.target.closest("a, button")) event.preventDefault();
  }

  function onMove(event) {
    if (!event.buttons) drag = null; // released outside the window
    if (!drag) return;
    const to = place(event);
    if (!drag.moved && !far(drag.pressed, to)) return;
    if (!drag.moved) frame.setPointerCapture(event.pointerId); // now, so that a click on a link still follows it
    drag.moved = true;
    if (drag.kind === "draw") box = between(drag.from, to);
    else if (drag.kind === "move") box = shifted(drag.box, to[0] - drag.from[0], to[1] - drag.from[1]);
    else box = withCorner(drag.box, drag.kind, to);
    show();
  }

  function onUp(event) {
    if (!drag) return;
    const { kind, moved } = drag;
    drag = null;
    if (!moved) {
      if (!drawing() || typeof kind === "number") return;
      if (!tapped) {
        tapped = place(event);
        help.textContent = help.dataset.second;
        show();
        return;
      }
      box = between(tapped, place(event));
    }
    tapped = null;
    if (!drawing() || !actions) return use();
    help.textContent = how;
    show();
  }

  button.addEventListener("click", () => (drawing() ? cancel() : begin()));
  find("crop-search")?.addEventListener("click", use);
  find("crop-cancel")?.addEventListener("click", () => {
    cancel();
    button.focus();
  });
  frame.addEventListener("keydown", (event) => (drawing() || handles.includes(event.target)) && onKey(event));
  frame.addEventListener("dragstart", (event) => event.preventDefault());
  frame.addEventListener("pointerdown", onDown);
  frame.addEventListener("pointermove", onMove);
  frame.addEventListener("pointerup", onUp);
  frame.addEventListener("pointercancel", () => {
    if (!drag) return;
    box = drag.box;
    drag = null;
    show();
  });
  show();
  return {
    set(changed) {
      box = changed;
      show();
    },
  };
}
