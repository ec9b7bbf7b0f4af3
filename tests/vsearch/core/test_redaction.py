import re

import pytest

from vsearch.core.errors import CatalogError
from vsearch.core.redaction import redact, redact_url

URLS = """
    postgresql://{shop:s3cret}@db:5432/shop  postgresql+psycopg2://{u:s3cret}@db/x  'postgresql://{u:s3cret}@db/x'
    postgresql://{u:s3@cret}@127.0.0.1:1/x  postgresql://{u:s3/cret}@db/x  postgresql://{u:12/s3cret}@db/x
    postgresql://{u:s3?cret}@db/x  postgresql://{u:s3#cret}@db/x  postgresql://{u:s3%20cret}@db/x
    postgresql://h/x?user=u&password={s3cret}  postgresql://h/x?p%61ssword={s3cret}&sslmode=require
    redis://{:s3cret}@127.0.0.1:1/0  redis://queue/0?password={s3cret}  https://{s}@shop.example/feed.csv
    https://{user:s3cret}@shop.example/feed.csv?token={s3cret}  https://{user:s3cret}@[::1]:8000/f.csv
    https://shop.example/f.csv?api_key={s3cret}&page=2  https://shop.example/f.csv?page=2&sig={s3cret%3D}
    https://b.example/f?X-Amz-Credential={s3cret}&X-Amz-Signature={s3cret}#x  https://h/f#access_token={s3cret}
    https://h/f?url=https://{u:s3cret}@h2/x?sig={s3cret}&a=1  https://h/f?a=1;key={s3cret}
    https://h/f?x%5Bkey%5D={s3cret}&AWSAccessKeyId={s3cret}  zip://{f.csv::https://u:s3cret}@h/a.zip
    HTTPS://{U:s3cret}@H/x?Token={s3cret}  s3://{KEY:s3cret}@bucket/feed.csv
    https://cdn.shop.example/img@2x.jpg?width=3  https://shop.example:8443/a?monkey=1&design=2&keyword=3
    s3://bucket/pictures/a@b.jpg  sqlite:////srv/shop@home/catalog.sqlite  http://[::1]:8000/a@b  redis://queue:abc/0
    path/with@sign  postgresql://USER:PASSWORD@HOST/NAME
"""
"""Secrets are in braces."""


@pytest.mark.parametrize("url", [*URLS.split(), "postgresql://{u:s3 cret}@db/x", "a path/with@sign", ""])
def test_only_the_secrets_of_a_url_are_hidden(url):
    assert redact_url(re.sub("[{}]", "", url)) == re.sub("{.*?}", "***", url)


def test_secrets_in_text_are_hidden():
    redacted = redact(
        "'redis://:s3cret@q/0' and https://a.example/f?key=s3cret; then \"GET /f.csv?token=s3cret&x=1 HTTP/1.1\", "
        "(url: '/f.csv?password=s3cret'; x) with password=s3cret."
    )
    assert redacted == (
        "'redis://***@q/0' and https://a.example/f?key=***; then \"GET /f.csv?token=***&x=1 HTTP/1.1\", "
        "(url: '/f.csv?password=***'; x) with password=***."
    )


def test_secrets_of_a_given_url_are_hidden_anywhere():
    address = "s3://KEY:s3%20cret@bucket/f"
    assert redact("Invalid bucket name 'KEY:s3%20cret@bucket', s3 cret", address) == (
        "Invalid bucket name '***@bucket', ***"
    )
    assert redact("'user:s3c' is not a valid host", "http://user:s3c/ret@h/f") == "'***' is not a valid host"
    assert redact("no port in s3c", "http://user:s3c#ret@h/f") == "no port in ***"


def test_error_messages_are_redacted():
    assert str(CatalogError("https://u:s3cret@h/f is not readable")) == "https://***@h/f is not readable"


@pytest.mark.parametrize("filler", ["a", "http://", "?a=", ";a=", "?a=b&", "password=", "?token=.....", "."])
def test_redaction_takes_linear_time(filler):
    line = f"{filler * (400_000 // len(filler))} https://u:s3cret@h/f"
    assert redact(line).endswith(" https://***@h/f")
