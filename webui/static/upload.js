// Choosing, dropping or pasting a photo submits the form at once. Without JavaScript, the form still works.

const MAX_SIDE = 2000;
const SHRINK_ABOVE = 3_000_000; // bytes
const SHRINKABLE = ["image/jpeg", "image/png", "image/webp"]; // formats that every browser decodes; HEIC is sent unchanged

const form = document.querySelector("[data-upload]");
const field = form?.querySelector("input[type=file]");
const busy = document.querySelector("[data-busy]");
const hint = document.querySelector("[data-drop-hint]");

document.documentElement.classList.add("js");

/** Return a smaller copy of a large photo, or the file itself if that fails. */
async function shrunk(file) {
  if (!SHRINKABLE.includes(file.type) || file.size < SHRINK_ABOVE) return file;
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
    return blob && blob.size < file.size ? new File([blob], "photo.jpg", { type: "image/jpeg" }) : file;
  } catch {
    return file;
  }
}

async function send(file) {
  busy.hidden = false;
  const transfer = new DataTransfer();
  transfer.items.add(await shrunk(file));
  field.files = transfer.files;
  form.submit();
}

function dragsFile(event) {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}

document.querySelector("[data-examples]")?.addEventListener("submit", () => {
  busy.hidden = false;
});

if (form) {
  field.addEventListener("change", () => field.files.length && send(field.files[0]));

  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) send(file);
  });

  document.addEventListener("dragover", (event) => {
    if (!dragsFile(event)) return;
    event.preventDefault();
    hint.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) hint.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!dragsFile(event)) return;
    event.preventDefault();
    hint.hidden = true;
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });

  // A page restored from the browser's history must not look busy or keep the old file.
  addEventListener("pageshow", () => {
    busy.hidden = true;
    form.reset();
  });
}
