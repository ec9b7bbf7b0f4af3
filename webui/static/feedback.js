// Sends a verdict on a result without loading the page again. Without JavaScript, the form does the same.

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-feedback]");
  if (!form) return;
  event.preventDefault();
  const chosen = event.submitter;
  const words = form.closest("[data-thanks]").dataset;
  const note = form.querySelector("[data-note]");
  const body = new URLSearchParams(new FormData(form));
  body.set("verdict", chosen.value);
  let problem = words.failed;
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    if (response.ok) problem = "";
    if (response.status === 404) problem = words.gone;
  } catch {
    // offline
  }
  note.className = problem ? "verdict__note" : "sr";
  note.textContent = problem || words.thanks;
  if (!problem) for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === chosen));
});
