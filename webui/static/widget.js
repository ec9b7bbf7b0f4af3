// A button for the shop's own pages: it lets shoppers choose a photo and opens its results.
//
//   <script src="https://search.shop.example/static/widget.js" data-label="Search by photo" defer></script>
//
// The button takes the place of the script, with the class vsearch-button. The shop's origin must be in `widget_origins`.
// Its label and the results are in the language of the page (<html lang>), or in that of data-lang.

const script = document.currentScript;
const action = new URL("../search", script.src);
const LABELS = { en: "Search by photo", de: "Fotosuche", fr: "Recherche par photo" }; // as in webui/translations
const language = (script.dataset.lang || document.documentElement.lang).toLowerCase().split("-")[0];
if (language in LABELS) action.searchParams.set("lang", language);

const form = document.createElement("form");
form.action = action.href;
form.method = "post";
form.enctype = "multipart/form-data";
form.className = "vsearch-form";

const field = document.createElement("input");
field.type = "file";
field.name = "photo";
field.accept = "image/*,.heic,.heif";
field.hidden = true;
field.tabIndex = -1;
field.setAttribute("aria-hidden", "true");

const button = document.createElement("button");
button.type = "button";
button.className = "vsearch-button";
button.textContent = script.dataset.label || LABELS[language] || LABELS.en;
button.addEventListener("click", () => field.click());
field.addEventListener("change", () => {
  if (!field.files.length) return;
  button.disabled = true;
  form.submit();
});
addEventListener("pageshow", () => {
  button.disabled = false;
  form.reset();
});

form.append(field, button);
script.replaceWith(form);
