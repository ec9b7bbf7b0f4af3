"""The manager's report as one HTML page that needs nothing else, and kept in the data folder."""

import base64
import html
import json
from collections.abc import Iterator
from pathlib import Path

from catalog.imagestore import ImageStore
from indexer.managers_report import ManagersReport
from indexer.review import KINDS, Kind, Note
from vsearch.errors import VSearchError
from vsearch.files import replace_text
from vsearch.images import Limits, decode, encode_jpeg
from vsearch.settings import Settings

ON_PAGE = 60
"""Notes of a kind that the page shows."""

_THUMBNAIL = 160

TITLES: dict[Kind, str] = {
    "bad row": "Rows of the last feed that cannot be used",
    "no picture": "Products that no photo finds",
    "failing picture": "Pictures that cannot be had",
    "small picture": "Pictures that are too small",
    "watermark": "Pictures that bear a mark",
    "same picture": "Products with the very same picture",
    "nearly the same": "Products that can hardly be told apart",
    "other category": "Products that look like another category",
}

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; } small, th { font-weight: 400; opacity: .7; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; }
ul { list-style: none; padding: 0; display: grid; gap: 1rem;
     grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); }
li { border: 1px solid #8884; border-radius: .5rem; padding: .8rem; overflow-wrap: anywhere; }
img { max-width: 48%; max-height: 9rem; background: #fff; border-radius: .3rem; margin-right: .3rem; }
.failed, .refused, .killed { color: #c0392b; } .wide { overflow-x: auto; }
@media (min-width: 40rem) { td:first-child { white-space: nowrap; } }
"""


def as_page(report: ManagersReport, settings: Settings) -> str:
    """Return the report as one HTML page that needs nothing else: its pictures are in it."""
    store, limits = ImageStore(settings.pictures), Limits.from_settings(settings)
    live = html.escape(report.live.text()) if report.live else "Nothing is live."
    parts = [f"<p>{_counted(report)}</p><p>{live}</p>", *_nights(report)]
    for kind in KINDS:
        if found := report.of(kind):
            parts.append(f"<h2>{TITLES[kind]} <small>{len(found)}</small></h2><ul>")
            parts += [_item(report, note, store, limits) for note in found[:ON_PAGE]]
            parts.append("</ul>")
            if len(found) > ON_PAGE:
                parts.append(f"<p><small>and {len(found) - ON_PAGE} more, all of them in the JSON report</small></p>")
    if not report.notes:
        parts.append("<h2>Nothing to look at</h2><p>Every product has a picture that finds it.</p>")
    title = f"Catalogue report, {report.made_at:%d %B %Y, %H:%M} UTC"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(parts)}</body></html>\n"
    )


def _counted(report: ManagersReport) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in report.counts.items())


def _nights(report: ManagersReport) -> Iterator[str]:
    yield '<h2>The last nights</h2><div class="wide"><table><tr><th>began (UTC)</th><th>what</th><th>ended</th></tr>'
    for night in report.nights():
        when, state = html.escape(night.began[:16].replace("T", " ")), html.escape(night.ended)
        said = html.escape(f"{night.ended}. {night.said}")
        yield f'<tr><td>{when}</td><td>{night.what}</td><td class="{state}">{said}</td></tr>'
    yield "</table></div>"


def _item(report: ManagersReport, note: Note, store: ImageStore, limits: Limits) -> str:
    pictures = "".join(_thumbnail(sha256, store, limits) for sha256 in note.pictures[:2])
    names = ", ".join(map(html.escape, report.names(note, 6))) + (" …" if len(note.skus) > 6 else "")
    return f"<li>{pictures}<div><strong>{names}</strong> {html.escape(note.said)}</div></li>"


def _thumbnail(sha256: str, store: ImageStore, limits: Limits) -> str:
    try:
        picture = decode(store.read(sha256), limits, max_side=_THUMBNAIL)
    except VSearchError:
        return ""
    data = base64.b64encode(encode_jpeg(picture, quality=80)).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'


def keep(settings: Settings, report: ManagersReport) -> Path:
    """Write report.json and report.html into the data folder, in place of the last ones; return the page."""
    folder = settings.data / "report"
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "report.json", json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n")
    replace_text(folder / "report.html", as_page(report, settings))
    return folder / "report.html"
