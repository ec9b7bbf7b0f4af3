// Keeps marked parts of the admin pages current, and warns before unsaved changes are lost.

const INTERVAL = 2000;

async function refresh(part) {
  let text;
  try {
    const response = await fetch(part.dataset.refresh, { headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) return; // signed out: the next click asks to sign in
    text = await response.text();
  } catch {
    schedule(part); // the server restarts
    return;
  }
  const fresh = new DOMParser().parseFromString(text, "text/html").body.firstElementChild;
  if (!fresh) return;
  const busy = part.contains(document.activeElement) && document.activeElement.matches("button, input, select, textarea");
  if (!busy && fresh.outerHTML !== part.outerHTML) {
    const log = part.querySelector(".log");
    const atEnd = !log || log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    const scrolled = log ? log.scrollTop : 0;
    part.replaceWith(document.importNode(fresh, true));
    part = document.querySelector(`[data-refresh="${CSS.escape(fresh.dataset.refresh ?? "")}"]`);
    const newLog = part?.querySelector(".log");
    if (newLog) newLog.scrollTop = atEnd ? newLog.scrollHeight : scrolled;
  }
  if (part) schedule(part);
}

function schedule(part) {
  setTimeout(() => (document.hidden ? schedule(part) : refresh(part)), INTERVAL);
}

document.querySelectorAll("[data-refresh]").forEach(schedule);

for (const form of document.querySelectorAll("form[data-unsaved]")) {
  let changed = false;
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}
