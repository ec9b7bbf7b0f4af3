import re


def test_home_invites_to_send_a_photo(client):
    """The start page works without JavaScript: a form with a file field and a button."""
    response = client.get("/")

    page = response.text
    assert response.status_code == 200
    assert re.search(r'<form [^>]*action="/search" method="post" enctype="multipart/form-data"', page)
    assert '<input id="photo" class="file" type="file" name="photo"' in page
    assert '<button class="button go" type="submit">' in page
    assert page.count('class="card"') > 0


def test_upload_leads_to_the_product(site):
    """A photo of a product leads, by one redirect, to a page with that product first."""
    response = site.client.get(site.upload(3))

    assert response.status_code == 200
    first = re.search(r'<span class="card__title">([^<]*)', response.text)
    assert first[1] == "Chair Model 3 velvet"
    assert "Exact match" in response.text
    assert {"decode", "encode", "search", "hydrate"} <= set(
        re.findall(r"(\w+);dur=", response.headers["Server-Timing"])
    )
