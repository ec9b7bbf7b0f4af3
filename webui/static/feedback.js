// Sends a verdict on a result without loading the page again. Without JavaScript, the form does the same.

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-feedback]");
  if (!form) return;
  event.preventDefault();
  const chosen = event.submitter;
  const note = form.querySelector("[data-note]");
  const body = new URLSearchParams(new FormData(form));
  body.set("verdict", chosen.value);
  let problem = "That did not work. Please try again.";
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    if (response.ok) problem = "";
    if (response.status === 404) problem = "This photo has been deleted.";
  } catch {
    // offline
  }
  note.className = problem ? "verdict__note" : "sr";
  note.textContent = problem || "Thank you.";
  if (!problem) for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === chosen));
});
