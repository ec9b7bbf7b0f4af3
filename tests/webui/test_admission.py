import io
import threading

import pytest
from flask import request
from sqlalchemy import Engine as Database
from sqlalchemy.orm import sessionmaker

from tests.webui.conftest import running
from vsearch.core.errors import SettingsError
from webui import admission, create_app
from webui.connections import REJECTED, WAITED

FORWARDED = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Prefix": "/look",
}


def changed(settings, **changes):
    """Return an application with other settings."""
    return running(settings.model_copy(update=changes))


def search(site, **options):
    """Send a photo to the API."""
    return site.client.post("/api/v1/search", data=site.photo(3), **options)


def test_links_behind_a_proxy(settings):
    """Page and API use the address that shoppers see, prefix included."""
    with changed(settings, trusted_proxies=1) as site:
        answer = search(site, headers=FORWARDED).get_json()
        assert answer["page_url"].startswith("https://shop.example/look/results/")
        assert answer["results"][0]["image_url"].startswith("https://shop.example/look/pictures/")
        page = site.client.get("/", headers=FORWARDED).text
        assert 'action="/look/search"' in page
        assert 'href="/look/static/style.css"' in page
        assert 'href="/"' not in page
        photo = {"photo": (io.BytesIO(site.photo(3)), "a.jpg")}
        results = site.client.post("/search", data=photo, headers=FORWARDED).location
        assert results.startswith("/look/results/")
        path = results.removeprefix("/look")
        page = site.client.get(path, headers=FORWARDED).text
        assert f'action="{results}/delete"' in page
        assert f'href="{results}"' in site.client.get(f"{path}?price_min=x", headers=FORWARDED).text
        assert "Disallow: /look/results/" in site.client.get("/robots.txt", headers=FORWARDED).text


@pytest.mark.parametrize("host", ["a_b:8000", "", "a@b", "<x>", "x:99999"])
def test_hosts_that_no_link_can_name(site, host):
    """Pages need no host, and the API then answers with paths: names with _ are common in Docker."""
    found = search(site, headers={"Host": host}).get_json()
    addresses = [found["page_url"], found["results"][0]["url"], found["results"][0]["image_url"]]
    assert [address.split("/")[1] for address in addresses] == ["results", "products", "pictures"]
    assert site.client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["..", "a" * 70 + ".example"])
def test_hosts_that_cannot_exist(untouched, host):
    """Are refused, without a page: it has links."""
    for path in ("/", "/search", "/nothing"):
        page = untouched.client.get(path, headers={"Host": host})
        assert (page.status_code, page.mimetype) == (400, "text/plain")
    assert search(untouched, headers={"Host": host}).get_json()["error"]["code"] == "BadHost"


def test_headers_of_nobody_trusted_are_ignored(settings, caplog):
    """The operator, who may have forgotten the setting, finds one warning in the log."""
    with changed(settings, trusted_proxies=0) as site:
        for _ in range(2):
            answer = search(site, headers=FORWARDED).get_json()
            assert answer["page_url"].startswith("http://localhost/results/")
        assert 'action="/search"' in site.client.get("/", headers=FORWARDED).text
    assert caplog.text.count("trusted_proxies") == 1


@pytest.mark.parametrize(
    ("hops", "sent", "seen"),
    [
        (1, "203.0.113.9, 192.0.2.7", "192.0.2.7"),
        (1, "192.0.2.7", "192.0.2.7"),
        (2, "203.0.113.9, 192.0.2.7, 198.51.100.1", "192.0.2.7"),
        (2, "192.0.2.7", "127.0.0.1"),
        (0, "192.0.2.7", "127.0.0.1"),
    ],
)
def test_a_hop_that_the_client_made_up_is_ignored(settings, hops, sent, seen):
    """Only so many of the last entries are believed as there are proxies."""
    with changed(settings, trusted_proxies=hops) as site:
        found = []
        site.app.before_request_funcs[None].append(lambda: found.append((request.remote_addr, request.host)))
        forwarded = sent.replace("203.0.113.9", "evil.example").replace("192.0.2.7", "shop.example")
        site.client.get("/", headers={"X-Forwarded-For": sent, "X-Forwarded-Host": forwarded})
        assert found == [(seen, "shop.example" if seen == "192.0.2.7" else "localhost")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("shop.example", 200),
        ("SHOP.example:8443", 200),
        ("m.other.example", 200),
        ("evil.example", 400),
        ("shop.example.evil.example", 400),
        ("shop.example@evil.example", 400),
        ("127.0.0.1", 400),
        ("", 400),
    ],
)
def test_other_host_names_are_refused(settings, host, status):
    """Health is answered under any name, since load balancers ask by address."""
    with changed(settings, trusted_hosts="shop.example, .other.example") as site:
        for address in ("/", "/api/v1/products/P-01"):
            response = site.client.get(address, headers={"Host": host})
            assert response.status_code == status
            assert "evil" not in response.text
        assert site.client.get("/healthz", headers={"Host": host}).status_code == 200
        assert site.client.get("/readyz", headers={"Host": host}).status_code == 200


def test_a_forwarded_host_is_held_against_the_list(settings):
    """The one that the proxy says counts."""
    with changed(settings, trusted_hosts="shop.example", trusted_proxies=1) as site:
        assert site.client.get("/", headers={"X-Forwarded-Host": "shop.example"}).status_code == 200
        assert site.client.get("/", headers={"Host": "shop.example", "X-Forwarded-Host": "evil"}).status_code == 400


def test_too_many_searches(settings):
    """Page and API share what one client may ask for; another client, and what is no search, is not concerned."""
    with changed(settings, rate_limit="3/hour") as site:
        results = site.upload(3)
        assert site.client.get(results).status_code == 200
        assert search(site).status_code == 200
        refused = search(site)
        assert refused.status_code == 429
        assert 3000 < int(refused.headers["Retry-After"]) <= 3600
        assert refused.get_json()["error"]["code"] == "TooManyRequests"
        page = site.client.get(f"{results}?class=all")
        assert page.status_code == 429
        assert f'href="{results}?class=all"' in page.text
        assert search(site, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200
        for address in ("/", "/products/P-01", f"/photos/{results.rpartition('/')[2]}.jpg", "/healthz"):
            assert site.client.get(address).status_code == 200


def test_one_ipv6_network_is_one_client(settings):
    """It has more addresses than can be counted."""
    with changed(settings, rate_limit="1/hour") as site:
        statuses = [
            search(site, environ_base={"REMOTE_ADDR": address}).status_code
            for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1")
        ]
        assert statuses == [200, 429, 200, 200, 429]


def test_no_limit(settings):
    """The setting left empty."""
    with changed(settings, rate_limit="") as site:
        assert {search(site).status_code for _ in range(5)} == {200}


def test_searches_beyond_the_limit_are_refused_at_once(settings, monkeypatch):
    """While two are computed, the third is told to come again; all else is answered, and then there is room."""
    with changed(settings, searches_in_flight=2, rate_limit="") as site:
        results = site.upload(3)
        computing, go_on = threading.Semaphore(0), threading.Event()
        ask = site.engine.search

        def wait(*arguments, **options):
            computing.release()
            assert go_on.wait(60)
            return ask(*arguments, **options)

        monkeypatch.setattr(site.engine, "search", wait)
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(search(site).status_code)) for _ in range(2)]
        for thread in threads:
            thread.start()
            assert computing.acquire(timeout=60)
        for refused in (search(site), site.client.get(results), site.client.post("/search", data={"photo": "x"})):
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) < 10
        for address in ("/", "/healthz", "/products/P-01", "/api/v1/products/P-01"):
            assert site.client.get(address).status_code == 200
        go_on.set()
        for thread in threads:
            thread.join()
        assert statuses == [200, 200]
        assert search(site).status_code == 200


def test_a_search_that_fails_gives_its_place_back(settings):
    """However it fails."""
    with changed(settings, searches_in_flight=1) as site:
        for _ in range(3):
            assert site.client.post("/api/v1/search", data=b"no photo").status_code == 415
        assert search(site).status_code == 200


def test_a_request_that_waited_long_is_refused(client):
    """Nobody waits for its answer any more; health is still told."""
    late = {WAITED: 6.0}
    assert client.get("/", environ_base=late).status_code == 503
    assert client.get("/", environ_base=late).headers["Retry-After"] == "3"
    assert client.get("/healthz", environ_base=late).status_code == 200
    assert client.get("/", environ_base={WAITED: 4.0}).status_code == 200


@pytest.mark.parametrize(("status", "words"), [(413, "1 MB"), (408, "in time"), (503, "try again")])
def test_what_the_server_refuses_has_a_page(client, status, words):
    """And JSON, in the same words."""
    for address in ("/search", "/api/v1/search"):
        response = client.post(address, environ_base={REJECTED: status})
        assert response.status_code == status
        assert words in response.text


CONTROL = ["%00", "a%00b", "%01", "%1f", "%7f", "%0b"]


@pytest.mark.parametrize("character", CONTROL)
def test_control_characters(client, character):
    """In a path they lead nowhere, in a parameter they make no sense."""
    for path in (f"/products/{character}", f"/api/v1/products/{character}", f"/pictures/{character}-320.jpg"):
        assert client.get(path).status_code == 404
    for query in (f"text={character}", f"class={character}", f"{character}=1"):
        assert client.get(f"/results/{'0' * 64}?{query}").status_code == 400
        assert client.post(f"/api/v1/search?{query}").status_code == 400


def test_control_characters_on_postgresql(site, pg_engine: Database):
    """It takes no NUL in a text, and is not asked."""
    app = create_app(site.settings, engine=site.engine, sessions=sessionmaker(pg_engine))
    client = app.test_client()
    for path in ("/products/%00", "/api/v1/products/a%00b", "/products/%ff", "/products/%ed%a0%80", "/products/none"):
        assert client.get(path).status_code == 404
    assert client.post("/api/v1/search?text=%00", data=site.photo(1)).status_code == 400
    assert client.post("/api/v1/search?text=a%09b%ed%a0%80", data=site.photo(1)).status_code == 200


def test_crawlers_are_kept_off_searches(client):
    """And off shoppers' photos; the catalogue may be read."""
    rules = client.get("/robots.txt")
    assert rules.mimetype == "text/plain"
    assert rules.text.splitlines() == [
        "User-agent: *",
        "Disallow: /api/",
        "Disallow: /photos/",
        "Disallow: /results/",
        "Disallow: /search",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_limit": "often"},
        {"rate_limit": "60"},
        {"rate_limit": "-1/minute"},
        {"searches_in_flight": 8},
        {"threads": 1, "searches_in_flight": 1},
    ],
)
def test_invalid_limits(settings, wrong):
    with pytest.raises(SettingsError, match=list(wrong)[-1]):
        admission.check_settings(settings.model_copy(update=wrong))
