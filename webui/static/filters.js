// Filters apply as soon as they are chosen; without this script, the button applies them.

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-filters] :is([type=checkbox], select)")) event.target.form.requestSubmit();
});
