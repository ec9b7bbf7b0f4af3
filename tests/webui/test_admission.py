import io
import threading

import pytest
from flask import request
from sqlalchemy.orm import sessionmaker

from tests.webui.conftest import running
from vsearch.core.errors import SettingsError
from webui import admission, create_app
from webui.connections import REJECTED, WAITED
from webui.photo_owners import COOKIE
from webui.services import services_of

FORWARDED = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Prefix": "/look",
}


def running_with(settings, **changes):
    return running(settings.model_copy(update=changes))


def search(site, **options):
    return site.client.post("/api/v1/search", data=site.photo(3), **options)


def test_links_behind_a_proxy(settings):
    """Pages and API use the address that shoppers see, including the prefix."""
    with running_with(settings, trusted_proxies=1) as site:
        body = search(site, headers=FORWARDED).get_json()
        assert body["page_url"].startswith("https://shop.example/look/results/")
        assert body["results"][0]["image_url"].startswith("https://shop.example/look/pictures/")
        page = site.client.get("/", headers=FORWARDED).text
        assert all(link in page for link in ('action="/look/search"', 'href="/look/static/style.css"'))
        assert 'href="/"' not in page
        photo = {"photo": (io.BytesIO(site.photo(3)), "a.jpg")}
        url = site.client.post("/search", data=photo, headers=FORWARDED).location
        assert url.startswith("/look/results/")
        path = url.removeprefix("/look")
        photo = url.rpartition("/")[2]
        sent = FORWARDED | {"Cookie": f"{COOKIE}={services_of(site.app).uploads.owner_token(photo)}"}
        assert f'href="{url}/delete"' in site.app.test_client(use_cookies=False).get(path, headers=sent).text
        assert f'href="{url}"' in site.client.get(f"{path}?price_min=x", headers=FORWARDED).text
        assert "Disallow: /look/results/" in site.client.get("/robots.txt", headers=FORWARDED).text


@pytest.mark.parametrize("host", ["a_b:8000", "", "a@b", "<x>", "x:99999"])
def test_hosts_that_are_not_valid_in_urls(site, host):
    """The API responds with paths then; Docker uses names with _."""
    body = search(site, headers={"Host": host}).get_json()
    urls = [body["page_url"], body["results"][0]["url"], body["results"][0]["image_url"]]
    assert [url.split("/")[1] for url in urls] == ["results", "products", "pictures"]
    assert site.client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["..", "a" * 70 + ".example"])
def test_impossible_hosts(shared_site, host):
    """They get a text: the links of a page need a host."""
    for path in ("/", "/search", "/nothing"):
        response = shared_site.client.get(path, headers={"Host": host})
        assert (response.status_code, response.mimetype) == (400, "text/plain")
    assert search(shared_site, headers={"Host": host}).get_json()["type"].endswith(":BadHost")


def test_forwarded_headers_without_trusted_proxies(settings, caplog):
    """They are ignored, with one warning: the operator may have forgotten the setting."""
    with running_with(settings, trusted_proxies=0) as site:
        for _ in range(2):
            assert search(site, headers=FORWARDED).get_json()["page_url"].startswith("http://localhost/results/")
        assert 'action="/search"' in site.client.get("/", headers=FORWARDED).text
    assert caplog.text.count("trusted_proxies") == 1


@pytest.mark.parametrize(("hops", "seen"), [(0, "127.0.0.1"), (1, "192.0.2.7"), (2, "203.0.113.9")])
def test_trusted_proxies_counts_from_the_last(settings, hops, seen):
    with running_with(settings, trusted_proxies=hops) as site:
        found = []
        site.app.before_request_funcs[None].append(lambda: found.append(request.remote_addr))
        site.client.get("/", headers={"X-Forwarded-For": "203.0.113.9, 192.0.2.7"})
        assert found == [seen]


def test_trusted_hosts(settings):
    """Health checks are answered under any name, since load balancers use IP addresses."""
    trusted = ("shop.example", "SHOP.example:8443", "m.other.example")
    refused = ("evil.example", "shop.example.evil.example", "shop.example@evil.example", "127.0.0.1", "")
    with running_with(settings, trusted_hosts="shop.example, .other.example") as site:
        for host in (*trusted, *refused):
            for path in ("/", "/api/v1/products/P-01"):
                response = site.client.get(path, headers={"Host": host})
                assert response.status_code == (200 if host in trusted else 400), host
                assert "evil" not in response.text
            for path in ("/healthz", "/readyz"):
                assert site.client.get(path, headers={"Host": host}).status_code == 200
    with running_with(settings, trusted_hosts="shop.example", trusted_proxies=1) as site:
        assert site.client.get("/", headers={"X-Forwarded-Host": "shop.example"}).status_code == 200
        assert site.client.get("/", headers={"Host": "shop.example", "X-Forwarded-Host": "evil"}).status_code == 400


def test_rate_limit(settings):
    """Pages and API share it; other clients, and requests that do not search, are not limited."""
    with running_with(settings, rate_limit="3/hour") as site:
        url = site.upload(3)
        assert site.client.get(url).status_code == 200
        assert search(site).status_code == 200
        limited = search(site)
        assert limited.status_code == 429
        assert 3000 < int(limited.headers["Retry-After"]) <= 3600
        assert limited.get_json()["type"].endswith(":TooManyRequests")
        page = site.client.get(f"{url}?class=all")
        assert page.status_code == 429
        assert f'href="{url}?class=all"' in page.text
        assert search(site, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200
        for path in ("/", "/products/P-01", f"/photos/{url.rpartition('/')[2]}.jpg", "/healthz"):
            assert site.client.get(path).status_code == 200


def test_rate_limit_of_an_ipv6_network(settings):
    with running_with(settings, rate_limit="1/hour") as site:
        statuses = [
            search(site, environ_base={"REMOTE_ADDR": address}).status_code
            for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1")
        ]
        assert statuses == [200, 429, 200, 200, 429]


def test_searches_in_flight(settings, monkeypatch):
    """While two searches run, a third is rejected at once; other requests are answered."""
    with running_with(settings, searches_in_flight=2, rate_limit="") as site:
        url = site.upload(3)
        entered, resume = threading.Semaphore(0), threading.Event()
        real_search = site.engine.search

        def wait(*args, **kwargs):
            entered.release()
            assert resume.wait(60)
            return real_search(*args, **kwargs)

        monkeypatch.setattr(site.engine, "search", wait)
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(search(site).status_code)) for _ in range(2)]
        for thread in threads:
            thread.start()
            assert entered.acquire(timeout=60)
        for rejected in (search(site), site.client.get(url), site.client.post("/search", data={"photo": "x"})):
            assert rejected.status_code == 503
            assert int(rejected.headers["Retry-After"]) < 10
        for path in ("/", "/healthz", "/products/P-01", "/api/v1/products/P-01"):
            assert site.client.get(path).status_code == 200
        resume.set()
        for thread in threads:
            thread.join()
        assert statuses == [200, 200]
        assert search(site).status_code == 200


def test_failed_searches_free_their_slots(settings):
    with running_with(settings, searches_in_flight=1) as site:
        for _ in range(3):
            assert site.client.post("/api/v1/search", data=b"no photo").status_code == 415
        assert search(site).status_code == 200


def test_requests_that_waited_too_long(client):
    late = client.get("/", environ_base={WAITED: 6.0})
    assert (late.status_code, late.headers["Retry-After"]) == (503, "3")
    assert client.get("/healthz", environ_base={WAITED: 6.0}).status_code == 200
    assert client.get("/", environ_base={WAITED: 0.5}).status_code == 200


@pytest.mark.parametrize("status", [408, 413, 503])
def test_requests_rejected_by_the_server(client, status):
    """They get a page, or JSON."""
    for path, mimetype in (("/search", "text/html"), ("/api/v1/search", "application/problem+json")):
        response = client.post(path, environ_base={REJECTED: status})
        assert (response.status_code, response.mimetype) == (status, mimetype)
    assert ("1 MB" in response.text) == (status == 413)


def test_control_characters(client):
    for character in ("%00", "a%00b", "%01", "%1f", "%7f", "%0b"):
        for path in (f"/products/{character}", f"/api/v1/products/{character}", f"/pictures/{character}-320.jpg"):
            assert client.get(path).status_code == 404
        for query in (f"text={character}", f"class={character}", f"{character}=1"):
            assert client.get(f"/results/{'0' * 64}?{query}").status_code == 400
            assert client.post(f"/api/v1/search?{query}").status_code == 400


def test_odd_characters_on_postgresql(site, pg_engine):
    """It accepts no NUL in a text."""
    client = create_app(site.settings, engine=site.engine, sessions=sessionmaker(pg_engine)).test_client()
    for path in ("/products/%00", "/api/v1/products/a%00b", "/products/%ff", "/products/%ed%a0%80", "/products/none"):
        assert client.get(path).status_code == 404
    assert client.post("/api/v1/search?text=%00", data=site.photo(1)).status_code == 400
    assert client.post("/api/v1/search?text=a%09b%ed%a0%80", data=site.photo(1)).status_code == 200


def test_robots_txt(client):
    """Searches and shoppers' photos are not crawled."""
    rules = client.get("/robots.txt")
    assert rules.mimetype == "text/plain"
    disallowed = [line.removeprefix("Disallow: ") for line in rules.text.splitlines()[1:]]
    assert disallowed == ["/api/", "/photos/", "/products/*/similar", "/results/", "/search"]


@pytest.mark.parametrize(
    "changes",
    [
        *({"rate_limit": limit} for limit in ("often", "60", "-1/minute")),
        *({"threads": 8, "searches_in_flight": 8}, {"threads": 1, "searches_in_flight": 1}),
    ],
)
def test_invalid_limits(settings, changes):
    with pytest.raises(SettingsError, match=list(changes)[-1]):
        admission.check_settings(settings.model_copy(update=changes))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://shop.example"}, 303),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://shop.example.evil.example"}, 403),
    ],
)
def test_pages_of_other_sites_send_no_photos(settings, headers, status):
    with running(
        settings.model_copy(update={"widget_origins": "https://shop.example, https://m.shop.example"})
    ) as site:
        photo = {"photo": (io.BytesIO(site.photo(3)), "photo.jpg")}
        assert site.client.post("/search", data=photo, headers=headers).status_code == status


@pytest.mark.parametrize("origins", ["shop.example", "https://shop.example/path", "ftp://shop.example", "*"])
def test_origins_of_the_widget_are_checked_at_the_start(settings, origins):
    with pytest.raises(SettingsError, match="widget_origins"):
        admission.check_settings(settings.model_copy(update={"widget_origins": origins}))
