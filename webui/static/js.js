// Loaded before the page is shown, so that what only works with or without scripts does not jump.

document.documentElement.classList.add("js");
