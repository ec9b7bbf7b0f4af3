"""Compresses the shoppers' pages, scripts and style sheets, if the browser accepts that."""

from contextlib import closing

from flask import Flask, request
from flask_compress import Compress
from werkzeug.wrappers import Response

from webui.admin import PREFIX

MEDIA_TYPES_TO_COMPRESS = ["text/html", "text/css", "text/javascript", "application/json", "image/svg+xml"]
ALGORITHMS = ["br", "gzip"]


def register(app: Flask) -> None:
    """Compress responses, except those of the admin pages.

    The length of a compressed page reveals a secret in it to those who can repeat parts of the request in the page
    (BREACH). Admin pages contain tokens against forged requests. The shoppers' pages have no secret but the photo's
    id, which is already in their URL.
    """
    app.config.update(
        COMPRESS_REGISTER=False,
        COMPRESS_MIMETYPES=MEDIA_TYPES_TO_COMPRESS,
        COMPRESS_ALGORITHM=ALGORITHMS,
    )
    compress = Compress(app)

    def compressed(response: Response) -> Response:
        if response.mimetype not in MEDIA_TYPES_TO_COMPRESS or request.path.startswith(f"{PREFIX}/"):
            return response
        if response.is_streamed:  # a file: flask-compress would not close it
            response.direct_passthrough = False
            with closing(response.response):  # type: ignore[type-var]
                response.set_data(response.get_data())
        return compress.after_request(response)  # type: ignore[arg-type]

    app.after_request(compressed)
