// Filters apply as soon as they are chosen; without this script, the button applies them.

const form = document.querySelector("[data-filters]");

form?.addEventListener("change", (event) => {
  if (event.target.matches("[type=checkbox], select")) form.requestSubmit();
});
