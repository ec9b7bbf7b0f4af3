"""The shop's own look: its name, and a folder of templates and files that replace or add to those of vsearch.

theme/
  templates/      replace the templates of the same name in webui/templates, such as base.html or home.html
  static/
    theme.css     loaded after the style sheet, for example to set its colors
    logo.svg      shown in place of the icon; also logo.png or logo.webp
  translations/   texts in other words or languages (`webui.languages`), such as de/LC_MESSAGES/messages.mo
"""

from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, abort, current_app, send_from_directory, url_for
from flask_babel import gettext
from jinja2 import ChoiceLoader, FileSystemLoader
from werkzeug.wrappers import Response

from vsearch.core.errors import SettingsError
from vsearch.core.settings import Settings

DEFAULT_NAME = Settings.model_fields["shop_name"].default
STYLE_SHEET = "theme.css"
LOGOS = ("logo.svg", "logo.png", "logo.webp")
MAX_AGE = 300

blueprint = Blueprint("theme", __name__, url_prefix="/theme")


@dataclass(frozen=True)
class Theme:
    """What the base template shows of a theme.

    Attributes:
        shop_name: the setting.
        folder: of the theme; None without one.
    """

    shop_name: str
    folder: Path | None

    @property
    def name(self) -> str:
        """The name in the header and in titles; its default is translated."""
        return str(gettext("Search by photo")) if self.shop_name == DEFAULT_NAME else self.shop_name

    @property
    def static(self) -> Path | None:
        """The folder of files; None if there is none."""
        folder = self.folder / "static" if self.folder else None
        return folder if folder and folder.is_dir() else None

    @property
    def logo(self) -> str:
        """The URL of the logo; that of the icon without one."""
        for name in LOGOS:
            if self.static and (self.static / name).is_file():
                return url_for("theme.file", name=name)
        return url_for("static", filename="icon.svg")

    @property
    def style_sheet(self) -> str:
        """The URL of the theme's style sheet; empty without one."""
        return url_for("theme.file", name=STYLE_SHEET) if self.static and (self.static / STYLE_SHEET).is_file() else ""


def register(app: Flask, settings: Settings) -> None:
    """Use the shop's name and theme in an application.

    Raises:
        SettingsError: the folder does not exist.
    """
    theme = Theme(settings.shop_name, settings.theme)
    if theme.folder is not None:
        if not theme.folder.is_dir():
            raise SettingsError(
                f"Setting theme: the folder {theme.folder} does not exist. Create it, or correct the name."
            )
        assert app.jinja_loader is not None
        app.jinja_loader = ChoiceLoader([FileSystemLoader(theme.folder / "templates"), app.jinja_loader])
    app.extensions["vsearch.theme"] = theme
    app.jinja_env.globals["theme"] = theme
    app.register_blueprint(blueprint)


@blueprint.get("/<path:name>")
def file(name: str) -> Response:
    """Send a file of the theme."""
    folder = current_app.extensions["vsearch.theme"].static or abort(404, gettext("This file does not exist."))
    return send_from_directory(folder.absolute(), name, max_age=MAX_AGE)
