// The results page: another area, class, filter or page replaces the results in place. Without JavaScript, links do the same.

import { boxText, cropTool } from "./crop.js";

const status = document.querySelector("[data-results-status]");
let shown = location.pathname + location.search;
const WIDE = 960; // px, from which filters are beside the results
let turn = 0; // counts visits, so that only the last one is shown

function setUp() {
  const tool = document.querySelector("[data-box-tool]");
  if (!tool) return; // products that are similar to a product
  cropTool(tool, {
    search(box) {
      const url = new URL(tool.dataset.url, location.href);
      url.searchParams.set("box", boxText(box));
      visit(url.href);
    },
  });
}

const nameOf = (details) => ("refine" in details.dataset ? "refine" : details.querySelector("summary")?.textContent.trim());
const summaries = (root) => [...root.querySelectorAll("details:not(.card__menu)")].map((each) => [nameOf(each), each]);

/** Return a function that finds the element in new results that had the focus in the old ones. */
function focusKeeper() {
  const focused = document.activeElement;
  if (!focused?.closest(".results")) return () => null;
  if (focused.id) return () => document.getElementById(focused.id);
  if (focused.matches("[type=checkbox]")) return () => document.querySelector(`.results input[name="${CSS.escape(focused.name)}"][value="${CSS.escape(focused.value)}"]`);
  if (focused.matches("[data-draw]")) return () => document.querySelector("[data-draw]");
  const index = [...document.querySelectorAll(`.results ${focused.localName}`)].indexOf(focused);
  const group = focused.closest("nav[aria-label]")?.getAttribute("aria-label");
  const within = group && [...document.querySelectorAll(`nav[aria-label="${CSS.escape(group)}"] a`)].indexOf(focused);
  return () => (group ? document.querySelectorAll(`nav[aria-label="${CSS.escape(group)}"] a`)[within] : document.querySelectorAll(`.results ${focused.localName}`)[index]);
}

/** Return a function that leaves what is scrolled, and the element that has the focus, where they were. */
function placeKeeper() {
  const scrolled = (root) => [root.querySelector(".query"), ...root.querySelectorAll(".facet fieldset")].filter(Boolean);
  const key = (each) => each.closest(".facet") && nameOf(each.closest(".facet"));
  const tops = new Map(scrolled(document).map((each) => [key(each), each.scrollTop]));
  const focused = document.activeElement?.closest(".results .query") && document.activeElement;
  const top = focused?.getBoundingClientRect().top;
  return (element) => {
    for (const each of scrolled(document)) each.scrollTop = tops.get(key(each)) ?? 0;
    if (!focused || !element) return;
    const moved = () => element.getBoundingClientRect().top - top;
    document.querySelector(".query").scrollTop += moved(); // beside the results, filters scroll by themselves
    scrollBy(0, moved());
  };
}

async function visit(address, { push = true, toTop = false, close = false } = {}) {
  const mine = ++turn;
  const old = document.querySelector(".results");
  old.setAttribute("aria-busy", "true");
  let response, html;
  try {
    response = await fetch(address, { headers: { Accept: "text/html" } });
    html = await response.text();
  } catch {
    return location.assign(address);
  }
  if (mine !== turn) return;
  const page = new DOMParser().parseFromString(html, "text/html");
  const found = page.querySelector(".results");
  if (!found || new URL(response.url).pathname !== location.pathname) return location.assign(response.url);
  const refocus = focusKeeper(), keepPlace = placeKeeper();
  const open = new Map(summaries(old));
  const covered = close && innerWidth < WIDE && open.get("refine")?.open; // the panel lies above the results
  for (const [summary, details] of summaries(found)) {
    const closes = close && (details.matches(".categories") || (summary === "refine" && innerWidth < WIDE));
    if (!closes) details.open ||= open.get(summary)?.open ?? false;
  }
  old.replaceWith(document.adoptNode(found));
  const languages = page.querySelector("[data-languages]");
  if (languages) document.querySelector("[data-languages]")?.replaceWith(document.adoptNode(languages));
  document.title = page.title;
  if (push && response.url !== location.href) history.pushState(null, "", response.url);
  shown = location.pathname + location.search;
  setUp();
  document.dispatchEvent(new Event("vsearch:results"));
  const focused = refocus();
  focused?.focus({ preventScroll: true });
  keepPlace(focused);
  const heading = found.querySelector("h1");
  status.textContent = heading.textContent;
  if (toTop || covered) heading.scrollIntoView();
}

const plain = (event) => event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
const isHere = (url) => url.origin === location.origin && url.pathname === location.pathname;

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".results a[href]");
  if (!link || !plain(event) || event.defaultPrevented) return;
  const url = new URL(link.getAttribute("href"), location.href);
  if (!isHere(url) || url.hash) return;
  event.preventDefault();
  visit(url.href, { toTop: link.matches("[rel=next], [rel=prev]"), close: true });
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "get" || !form.closest(".results")) return;
  const url = new URL(form.action);
  if (!isHere(url)) return;
  const fields = new FormData(form, event.submitter);
  url.search = new URLSearchParams([...fields].filter(([, value]) => value !== ""));
  event.preventDefault();
  const panel = event.submitter && innerWidth < WIDE && form.closest("[data-refine]");
  if (panel) panel.open = false; // it lies above the results
  visit(url.href, { toTop: Boolean(panel) });
});

addEventListener("popstate", () => {
  if (location.pathname + location.search !== shown) visit(location.href, { push: false });
});

setUp();
