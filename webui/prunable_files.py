"""The web server's files that `vsearch prune` and the nightly job delete."""

from collections.abc import Container, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from vsearch.core.files import STALE_SECONDS, UNFINISHED, modified_before
from vsearch.core.settings import Settings
from webui.thumbnails import Thumbnails
from webui.uploads import UploadStore


def prunable_files(
    settings: Settings, keep: Container[str], withdrawn: Container[str], now: datetime
) -> Iterator[tuple[str, Path]]:
    """Yield the kind and path of old thumbnails and uploads, and of temporary files that killed processes left behind.

    `keep` contains the sha256 of pictures in use, `withdrawn` those of pictures of products withdrawn long ago.
    """
    made_before = (now - timedelta(days=settings.thumbnail_days)).timestamp()
    for path in Thumbnails(settings).unused(keep, withdrawn, made_before):
        yield "thumbnails", path
    for path in UploadStore(settings).expired(now.timestamp()):
        yield "uploads", path
    unfinished = [*settings.uploads.glob(f"{UNFINISHED}*"), *settings.thumbnails.glob(f"??/{UNFINISHED}*")]
    for path in modified_before(unfinished, now.timestamp() - STALE_SECONDS):
        yield "temporary files", path
