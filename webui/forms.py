"""The photo in a form that was sent, whatever its file is called."""

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from vsearch.core.errors import InvalidRequest

MAX_PARTS = 1000


class _Decoder(MultipartDecoder):
    """Takes headers that are not UTF-8: old clients write file names as Latin-1, and the name is of no interest."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode("utf-8", "replace").encode())


def parts(request: Request) -> dict[str, bytes]:
    """Return the parts of a multipart form by name, of several with one name the first that is not empty.

    Flask's own `request.files` leaves out a part without a file name, and every part where one header is not UTF-8.

    Raises:
        InvalidRequest: it is no multipart form.
        RequestEntityTooLarge: it is too large, or has too many parts.
    """
    found: dict[str, bytes] = {}
    try:
        boundary = request.mimetype_params.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("no boundary")
        decoder = _Decoder(boundary, max_parts=MAX_PARTS)
        decoder.receive_data(request.get_data(cache=False))
        decoder.receive_data(None)
        name, content = "", b""
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                name, content = event.name or "", b""
            elif isinstance(event, Data):
                content += event.data
                if not event.more_data and not found.get(name):
                    found[name] = content
    except ValueError:
        raise InvalidRequest(
            "A form must arrive whole, but its parts cannot be told apart; send the photo again."
        ) from None
    return found
