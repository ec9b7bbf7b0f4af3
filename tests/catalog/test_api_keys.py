"""Keys of the API in the catalog, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import sessionmaker

from catalog import api_keys, audit
from catalog.api_keys import KeyRefused, KeyUse
from catalog.api_tables import ApiKey
from catalog.models import utc_now
from vsearch.core.errors import AccountError


@pytest.fixture
def sessions(engine):
    return sessionmaker(engine)


def create(sessions, **options):
    with sessions.begin() as session:
        row, key = api_keys.create(session, "App", ["search", "feedback"], by="ada", **options)
        return row.key_id, key


def test_only_a_hash_is_stored(sessions):
    key_id, key = create(sessions)
    secret = key.partition("_")[2].partition("_")[2]
    with sessions() as session:
        row = session.get(ApiKey, key_id)
        stored = [str(getattr(row, column.name)) for column in ApiKey.__table__.columns]
        entry = audit.latest(session, 1)[0]
    assert len(secret) == 43, "32 bytes"
    assert not any(secret in value for value in [*stored, str(entry.details)])
    assert (entry.account, entry.action, entry.target) == ("ada", "create API key", f"API key {key_id} (App)")


def test_valid_until_it_expires_or_is_revoked(sessions):
    now = utc_now()
    key_id, key = create(sessions, expires_at=now + timedelta(days=1))
    with sessions.begin() as session:
        holder, last_used_at = api_keys.authenticate(session, key, now)
        assert (holder.key_id, holder.name, holder.scopes) == (key_id, "App", {"search", "feedback"})
        assert last_used_at is None
        with pytest.raises(KeyRefused, match="expired"):
            api_keys.authenticate(session, key, now + timedelta(days=1))
        api_keys.revoke(session, key_id, by="ada")
        with pytest.raises(KeyRefused, match="revoked"):
            api_keys.authenticate(session, key, now)
        with pytest.raises(AccountError, match="already"):
            api_keys.revoke(session, key_id, by="ada")


def test_other_keys_are_unknown(sessions):
    (first, key), (second, other) = create(sessions), create(sessions)
    secret = key.split("_", 2)[2]
    wrong = [
        key[:-1],
        key + "a",
        f"vsk_{second}_{secret}",
        f"vsk_99_{secret}",
        secret,
        "",
        "vsk",
        "vsk__",
        f"vsk_{first}_",
    ]
    wrong += [f"vsk_{'9' * 400}_{secret}", f"vsk_²_{secret}", f"vsk_-1_{secret}", f"sk_{first}_{secret}", "\udcff"]
    with sessions() as session:
        for each in wrong:
            with pytest.raises(KeyRefused, match="unknown"):
                api_keys.authenticate(session, each, utc_now())
        assert api_keys.authenticate(session, other, utc_now())[0].key_id == second


@pytest.mark.parametrize(
    ("name", "scopes", "expires_at"),
    [
        ("", ["search"], None),
        ("a" * 65, ["search"], None),
        ("a\0", ["search"], None),
        ("App", [], None),
        ("App", ["everything"], None),
        ("App", ["search"], datetime(2020, 1, 1, tzinfo=UTC)),
    ],
)
def test_invalid_keys_are_not_created(sessions, name, scopes, expires_at):
    with sessions() as session, pytest.raises(AccountError):
        api_keys.create(session, name, scopes, expires_at=expires_at, by="ada")


def test_use_is_recorded_to_the_hour(sessions):
    key_id, _ = create(sessions)
    use, now = KeyUse(sessions), datetime(2026, 11, 28, 10, 59, tzinfo=UTC)
    hour = datetime(2026, 11, 28, 10, tzinfo=UTC)
    use.note(key_id, None, now)
    use.write()
    with sessions() as session:
        assert session.get(ApiKey, key_id).last_used_at == hour
    use.note(key_id, hour, now)
    assert use._used == {}
