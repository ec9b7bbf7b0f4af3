// Shares the address of the page, or copies it where the browser cannot share.

const canShare = Boolean(navigator.share);

function show() {
  for (const button of document.querySelectorAll("[data-share]")) button.hidden = !canShare && !navigator.clipboard;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-share]");
  if (!button) return;
  const url = button.dataset.share || location.href;
  try {
    if (canShare) return await navigator.share({ title: document.title, url });
    await navigator.clipboard.writeText(url);
  } catch {
    return; // canceled, or not allowed
  }
  const label = button.querySelector("[data-label]");
  const text = label.textContent;
  if (text === button.dataset.copied) return;
  label.textContent = button.dataset.copied;
  setTimeout(() => (label.textContent = text), 3000);
});

document.addEventListener("vsearch:results", show); // replaced in place
show();
