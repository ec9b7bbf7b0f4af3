// The review page: keys, drawing the area, and loading the next photo in advance. Without JavaScript, the forms work.

import { boxText, cropTool, parseBox } from "./crop.js";

document.documentElement.classList.add("js");

const page = document.querySelector("[data-review]");
const form = page?.querySelector("[data-label]");
const tool = page?.querySelector("[data-box-tool]");
const shortcuts = page?.querySelector("[data-shortcuts]");

// The area

const drawButton = tool?.querySelector("[data-draw]");
let drawn = Boolean(tool?.dataset.box); // a person or the shopper chose it, so choosing a product does not move it

/** Load the page for an area, so that its best matches are offered. */
function search(box) {
  drawn = true;
  const url = new URL(location.href);
  url.search = "";
  url.pathname = form.action.replace(/^https?:\/\/[^/]+/, "").replace(/\d+\/label$/, "");
  url.searchParams.set("item", form.action.match(/(\d+)\/label$/)[1]);
  url.searchParams.set("box", boxText(box));
  location.assign(url);
}

const area =
  drawButton &&
  cropTool(tool, {
    search,
    onShow(box) {
      for (const field of page.querySelectorAll("[data-box-field]")) field.value = boxText(box);
    },
  });
tool?.querySelector("[data-whole]")?.addEventListener("click", () => search([0, 0, 1, 1]));

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
  area?.set(parseBox(radio.dataset.area));
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
