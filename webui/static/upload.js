// Choosing, dropping or pasting a photo sends it at once, downscaled and with a preview. Without JavaScript, the form works.

const MAX_SIDE = 1600; // px; the server keeps no more
const SMALL = 1_000_000; // bytes; a file below is sent unchanged if its sides are within MAX_SIDE

const busy = document.querySelector("[data-busy]");
const preview = busy.querySelector("[data-preview]");
const progress = busy.querySelector("[data-progress]");
const step = busy.querySelector("[data-step]");
const cancel = busy.querySelector("[data-cancel]");
const hint = document.querySelector("[data-drop-hint]");
let request = null; // the upload in progress
let turn = 0; // counts uploads, so that a canceled one is not sent

function show(text, sending = false) {
  step.textContent = text;
  progress.hidden = !sending;
  cancel.hidden = !sending;
  busy.hidden = false;
}

function hide() {
  turn += 1;
  request?.abort();
  request = null;
  busy.hidden = true;
  preview.hidden = true;
}

/** Draw an upright picture with its longer side at most `side` on a canvas. */
function draw(bitmap, canvas, side) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}

/** Show the photo; return a smaller copy of a large one, or the file itself if the browser cannot decode it. */
async function prepared(file) {
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    draw(bitmap, preview, 480);
    preview.hidden = false;
    if (Math.max(bitmap.width, bitmap.height) <= MAX_SIDE && file.size < SMALL) return file;
    const canvas = document.createElement("canvas");
    draw(bitmap, canvas, MAX_SIDE);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    return blob && blob.size < file.size ? blob : file;
  } catch {
    return file; // HEIC in most browsers, or not an image: the server decides
  }
}

/** Show what the server says about a photo that it did not accept. */
function showError(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const main = page.querySelector("main");
  hide();
  if (!main) return fail();
  document.querySelector("main").replaceWith(document.adoptNode(main));
  document.title = page.title;
  scrollTo(0, 0);
}

function fail() {
  hide();
  show(busy.dataset.failed);
  cancel.hidden = false;
  cancel.focus();
}

async function send(file) {
  hide();
  const mine = turn;
  show(busy.dataset.sending, true);
  progress.removeAttribute("value");
  const body = new FormData();
  body.append("photo", await prepared(file), "photo.jpg");
  if (mine !== turn) return;
  request = new XMLHttpRequest();
  request.open("POST", document.querySelector("[data-upload]").action);
  request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) progress.value = event.loaded / event.total;
  });
  request.upload.addEventListener("load", () => show(busy.dataset.searching));
  request.addEventListener("load", () => {
    const { status, responseText } = request;
    request = null;
    if (status === 200) location.assign(JSON.parse(responseText).location);
    else showError(responseText);
  });
  request.addEventListener("error", fail);
  request.send(body);
}

const files = (transfer) => [...(transfer?.types ?? [])].includes("Files");
const webAddress = (text) => (/^https?:\/\/\S+$/.test(text.trim()) ? text.trim() : "");

/** Search with the image at an address, if the page has a form for that. */
function sendAddress(address) {
  const form = document.querySelector("[data-address]");
  if (!form || !address) return false;
  form.elements.address.value = address;
  form.requestSubmit();
  return true;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-upload] input[type=file]") && event.target.files.length) send(event.target.files[0]);
});

document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-examples], [data-address]")) show(busy.dataset.searching);
});

cancel.addEventListener("click", () => {
  hide();
  for (const form of document.querySelectorAll("[data-upload]")) form.reset();
});

document.addEventListener("paste", (event) => {
  if (event.target.closest?.("input, textarea")) return;
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) send(file);
  else sendAddress(webAddress(event.clipboardData.getData("text/plain")));
});

document.addEventListener("dragover", (event) => {
  if (!files(event.dataTransfer) && !event.dataTransfer?.types.includes("text/uri-list")) return;
  event.preventDefault();
  hint.hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) hint.hidden = true;
});
document.addEventListener("drop", (event) => {
  const { dataTransfer } = event;
  hint.hidden = true;
  if (dataTransfer?.files.length) send(dataTransfer.files[0]);
  else if (!sendAddress(webAddress(dataTransfer?.getData("text/uri-list") ?? ""))) return;
  event.preventDefault();
});

// A page restored from the browser's history must not look busy or keep the old file.
addEventListener("pageshow", () => {
  hide();
  for (const form of document.querySelectorAll("[data-upload]")) form.reset();
});
