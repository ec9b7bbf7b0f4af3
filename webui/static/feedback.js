// Sends a verdict on a result, or takes it back, without loading the page again. Without JavaScript, the form does the same.

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-feedback]");
  if (!form) return;
  event.preventDefault();
  const chosen = event.submitter;
  const words = form.closest("[data-thanks]").dataset;
  const note = form.querySelector("[data-note]");
  const verdict = chosen.value;
  const body = new URLSearchParams(new FormData(form));
  body.set("verdict", verdict);
  let problem = words.failed;
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    if (response.ok) problem = "";
    if (response.status === 404) problem = words.gone;
  } catch {
    // offline
  }
  note.classList.toggle("verdict__note--problem", Boolean(problem));
  note.textContent = problem || (verdict === "none" ? words.back : words.thanks);
  if (problem) return;
  for (const button of form.querySelectorAll("button")) {
    const pressed = button === chosen && verdict !== "none";
    button.setAttribute("aria-pressed", String(pressed));
    button.value = pressed ? "none" : button.dataset.verdict;
  }
});
