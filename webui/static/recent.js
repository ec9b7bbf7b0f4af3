// The photos that were searched on this device: kept in the browser only, newest first.

const KEY = "vsearch-photos";
const MAX = 12;
const SIDE = 160; // px of a thumbnail
const DAY = 86_400_000; // ms

const section = document.querySelector("[data-recent]");
const searched = document.querySelector("[data-photo-id]");

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return []; // storage is disabled
  }
}

function write(photos) {
  try {
    localStorage.setItem(KEY, JSON.stringify(photos.slice(0, MAX)));
  } catch {
    // storage is disabled or full
  }
}

const forget = (id) => write(read().filter((photo) => photo.id !== id));

function remember(image, id) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const [x, y] = [(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2];
  canvas.getContext("2d").drawImage(image, x, y, side, side, 0, 0, SIDE, SIDE);
  const photo = { id, at: Date.now(), thumbnail: canvas.toDataURL("image/jpeg", 0.7).split(",")[1] };
  write([photo, ...read().filter((other) => other.id !== id)]);
}

async function paint(canvas, thumbnail) {
  const bytes = Uint8Array.from(atob(thumbnail), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

/** Delete a photo on the server, too; one that is gone there, or not this browser's, is only forgotten. Returns whether it worked. */
async function deletePhoto(id) {
  const response = await fetch(section.dataset.delete.replace("PHOTO", id), { method: "POST", redirect: "manual" });
  const gone = response.type === "opaqueredirect" || response.status === 404 || response.status === 403;
  if (gone) forget(id);
  return gone;
}

function list() {
  const photos = read().filter((photo) => Date.now() - photo.at < section.dataset.days * DAY);
  write(photos);
  section.hidden = !photos.length;
  const entries = photos.map(({ id, at, thumbnail }) => {
    const entry = section.querySelector("template").content.cloneNode(true);
    const date = new Date(at).toLocaleDateString(document.documentElement.lang, { dateStyle: "medium" });
    entry.querySelector("a").href = section.dataset.results.replace("PHOTO", id);
    entry.querySelector("button").dataset.id = id;
    for (const labeled of entry.querySelectorAll("[aria-label]")) {
      labeled.setAttribute("aria-label", labeled.getAttribute("aria-label").replace("DATE", date));
    }
    paint(entry.querySelector("canvas"), thumbnail).catch(() => {});
    return entry;
  });
  section.querySelector("ul").replaceChildren(...entries);
}

if (searched) {
  const image = searched.querySelector("img");
  image.decode().then(() => remember(image, searched.dataset.photoId)).catch(() => {});
} else if (performance.getEntriesByType("navigation")[0]?.responseStatus === 404) {
  forget(location.pathname.match(/\/results\/([0-9a-f]{64})/)?.[1]);
}

document.addEventListener("submit", (event) => {
  const id = new URL(event.target.action).pathname.match(/\/results\/([0-9a-f]{64})\/delete$/)?.[1];
  if (id) forget(id);
});

if (section) {
  section.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const one = Boolean(button.dataset.id);
    if (!confirm(one ? section.dataset.sure : section.dataset.sureAll)) return;
    const ids = one ? [button.dataset.id] : read().map((photo) => photo.id);
    button.disabled = true;
    const gone = await Promise.all(ids.map((id) => deletePhoto(id).catch(() => false)));
    button.disabled = false;
    const note = document.querySelector("[data-deleted]");
    note.hidden = false;
    note.textContent = !gone.every(Boolean) ? note.dataset.failed : one ? note.dataset.deleted : note.dataset.all;
    list();
    (section.hidden ? document.querySelector("h1") : section.querySelector("h2")).focus();
  });
  addEventListener("pageshow", list);
}
