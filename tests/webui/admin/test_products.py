"""The list of products, a product's page, and edits by several admins."""

import io
import re
from html import unescape

import pytest
from sqlalchemy import update

from catalog import audit, product_edits, queries
from catalog.changes import ProductItem
from catalog.database import lock_for_writing
from catalog.models import Image
from tests import pictures as drawn
from tests.webui.conftest import import_products, withdraw
from vsearch.imaging.codec import decode


def skus(text: str) -> list[str]:
    return [unescape(sku) for sku in re.findall(r'href="/admin/products/([^"?]+)"', text)]


def stored(site, sku: str = "P-03") -> ProductItem:
    with site.sessions() as session:
        return queries.snapshot(session)[sku]


def hidden(text: str) -> dict[str, list[str]]:
    """Return the values of the fields of a page, by name."""
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input [^>]*>", text):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and 'type="checkbox"' not in tag:
            found.setdefault(name[1], []).append(unescape(value[1]) if value else "")
    return found


def edit_form(visitor, sku: str = "P-03") -> dict[str, list[str]]:
    """Return the fields of a product's edit form."""
    text = visitor.get(f"/admin/products/{sku}").text
    return hidden(text[text.index("data-unsaved") : text.index("</form>", text.index("data-unsaved"))])


def test_products_are_found_by_words_sku_category_and_state(staff, visitor):
    vera = visitor("viewer")
    withdraw(staff, "P-11")
    with staff.sessions.begin() as session:
        lock_for_writing(session)
        product_edits.save(session, "ann", "P-05", "category", "Stools")
        session.execute(update(Image).where(Image.product_id == 2).values(problem="cut short"))
    found = {
        query: skus(vera.get(f"/admin/products?{query}").text)
        for query in (
            "words=velvet", "words=chair+velv", "words=p-0", "words=%25", "category=Seating&words=P-",
            "state=withdrawn", "state=edited", "state=without+picture", "state=with+problem",
            "category=Lamps&state=live",
        )
    }  # fmt: skip
    assert found["words=velvet"] == found["words=chair+velv"] == ["P-03", "P-04"]
    assert found["words=p-0"] == [f"P-0{number}" for number in range(10)]
    assert found["words=%25"] == []
    assert found["category=Seating&words=P-"] == ["P-00", "P-01", "P-02", "P-03", "P-04"]
    assert found["state=withdrawn"] == ["P-11"]
    assert found["state=edited"] == ["P-05"]
    assert found["state=without+picture"] == found["state=with+problem"] == ["P-01"]
    assert found["category=Lamps&state=live"] == [f"P-{number:02d}" for number in range(6, 11)]
    assert vera.get("/admin/products?page=99").status_code == 200
    assert vera.get("/admin/products?page=x").status_code == 200


def test_pages(staff, visitor, monkeypatch):
    monkeypatch.setattr("webui.admin.products.PAGE_SIZE", 5)
    vera = visitor("viewer")
    text = vera.get("/admin/products?category=Lamps&page=2").text
    assert skus(text) == ["P-11"]
    assert "page 2 of 2" in text
    assert "/admin/products?page=1&amp;words=&amp;category=Lamps" in text


def test_a_product_is_edited_and_restored(staff, visitor):
    eddie, before = visitor("editor"), stored(staff)
    form = edit_form(eddie)
    form |= {"category": ["Beds"], "name": ["color", "style"], "values": [r"blue, off\, white", "modern"]}
    answer = eddie.post("/admin/products/P-03", form)
    assert (answer.status_code, answer.location) == (303, "/admin/products/P-03")
    changed = stored(staff)
    assert (changed.category, changed.attributes) == ("Beds", {"color": ("blue", "off, white"), "style": ("modern",)})
    with staff.sessions() as session:
        assert {entry.account for entry in audit.latest(session, 3)} == {"eddie"}
    again = edit_form(eddie)
    assert again["values"] == [r"blue, off\, white", "modern", ""]
    eddie.post("/admin/products/P-03", again)
    assert stored(staff) == changed, "an unchanged form changes nothing"
    page = eddie.get("/admin/products/P-03").text
    for part in re.findall(r'action="/admin/edits/undo/P-03">.*?</form>', page, flags=re.DOTALL):
        assert eddie.post("/admin/edits/undo/P-03", hidden(part)).status_code == 303
    assert stored(staff) == before


def test_the_second_of_two_admins_sees_both_values_and_loses_nothing(staff, visitor):
    eddie, ada = visitor("editor"), visitor("admin")
    first, second = edit_form(eddie), edit_form(ada)
    assert eddie.post("/admin/products/P-03", first | {"category": ["Beds"], "values": ["blue", ""]}).status_code == 303
    mine = second | {"category": ["Sofas"], "name": ["color", "style"], "values": ["red, white", "modern"]}
    answer = ada.post("/admin/products/P-03", mine)
    assert answer.status_code == 409
    assert stored(staff).category == "Beds", "nothing was saved, not even the style"
    assert "style" not in stored(staff).attributes
    for shown in ("Seating &gt; Chairs", "Beds", "Sofas", "eddie"):
        assert shown in answer.text
    text = answer.text[answer.text.index("data-unsaved") :]
    form = hidden(text[: text.index("</form>")])
    assert form["category"] == ["Sofas"]
    assert form["values"] == ["blue", "modern", ""], "what was typed, and the other's value of what was not touched"
    assert ada.post("/admin/products/P-03", form).status_code == 303
    assert stored(staff).category == "Sofas"
    assert stored(staff).attributes == {"color": ("blue",), "style": ("modern",)}


def test_a_stale_undo_changes_nothing(staff, visitor):
    eddie, ada = visitor("editor"), visitor("admin")
    eddie.post("/admin/products/P-03", edit_form(eddie) | {"category": ["Beds"]})
    page = ada.get("/admin/products/P-03").text
    part = re.search(r'action="/admin/edits/undo/P-03">.*?</form>', page, flags=re.DOTALL)
    eddie.post("/admin/products/P-03", edit_form(eddie) | {"category": ["Sofas"]})
    assert ada.post("/admin/edits/undo/P-03", hidden(part[0])).status_code == 409
    assert stored(staff).category == "Sofas"


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"change": "category", "category": "Beds"}, "category", "Beds"),
        ({"change": "attribute", "attribute": "style", "values": "new,soft"}, "attributes.style", ("new", "soft")),
        ({"change": "remove", "attribute": "color"}, "attributes.color", ()),
    ],
)
def test_many_products_are_changed_at_once(staff, visitor, change, field, value):
    eddie = visitor("editor")
    fields = hidden(eddie.get("/admin/products?category=Lamps&words=Model").text)
    form = fields | {name: [each] for name, each in change.items()}
    chosen = ["P-06", "P-07", "P-08"]
    answer = eddie.post("/admin/products", form | {"sku": chosen})
    assert (answer.status_code, answer.location) == (303, "/admin/products?words=Model&category=Lamps")
    for sku in chosen:
        assert product_edits.field_value(stored(staff, sku), field) == value
    assert product_edits.field_value(stored(staff, "P-09"), field) != value


def test_products_that_changed_meanwhile_are_not_overwritten(staff, visitor):
    eddie, ada = visitor("editor"), visitor("admin")
    form = hidden(ada.get("/admin/products").text) | {"change": ["category"], "category": ["Sofas"]}
    eddie.post("/admin/products/P-03", edit_form(eddie) | {"category": ["Beds"]})
    answer = ada.post("/admin/products", form | {"sku": ["P-03", "P-04"]})
    assert answer.status_code == 409
    assert (stored(staff, "P-03").category, stored(staff, "P-04").category) == ("Beds", "Sofas")
    again = hidden(answer.text[answer.text.index("<main") :]) | {"sku": ["P-03"]}
    assert ada.post("/admin/products", again).status_code == 303
    assert stored(staff, "P-03").category == "Sofas"


@pytest.mark.parametrize("form", [{}, {"sku": "P-03"}, {"sku": "P-03", "seen": "x P-03", "change": "category"}])
def test_incomplete_bulk_changes_are_refused(staff, visitor, form):
    before = stored(staff)
    answer = visitor("editor").post("/admin/products", form)
    assert answer.status_code == 400
    assert stored(staff) == before


def test_added_images_are_encoded_again_and_removed(staff, visitor):
    eddie, before = visitor("editor"), stored(staff)
    eddie.get("/admin/products/P-03")
    data = drawn.encoded(drawn.scene(60, 40), "PNG")
    hostile = "<script>alert(1)</script>.png"
    files = [(io.BytesIO(data), hostile), (io.BytesIO(drawn.jpeg(50, 50)), "../../b.jpg")]
    answer = eddie.post("/admin/edits/pictures/P-03", {"pictures": files})
    assert answer.status_code == 303
    *old, first, second = stored(staff).images
    assert tuple(old) == before.images
    assert decode(stored_image(staff, first)).shape == (40, 60, 3)
    assert stored_image(staff, first).startswith(b"\xff\xd8")
    page = eddie.get("/admin/products/P-03")
    assert "alert(1)" not in page.text
    assert eddie.get(f"/admin/pictures/{first}-160.jpg").mimetype == "image/jpeg"
    assert staff.client.get(f"/pictures/{first}-160.jpg").status_code == 200, "shoppers see it"
    assert eddie.post("/admin/edits/remove-picture/P-03", {"sha256": first}).status_code == 303
    assert stored(staff).images == (*before.images, second)
    assert eddie.post("/admin/edits/remove-picture/P-03", {"sha256": before.images[0]}).status_code == 303
    assert stored(staff).images == (*before.images, second), "only images that an admin added"


def stored_image(site, sha256: str) -> bytes:
    return (site.settings.pictures / sha256[:2] / sha256[2:4] / sha256).read_bytes()


@pytest.mark.parametrize(("data", "status"), [(b"<html>", 415), (drawn.png_header(2000, 1100), 413), (b"", 415)])
def test_unusable_images_are_refused(staff, visitor, data, status):
    before, eddie = stored(staff), visitor("editor")
    eddie.get("/admin/products/P-03")
    files = [(io.BytesIO(drawn.jpeg(50, 50)), "good.jpg"), (io.BytesIO(data), "bad.jpg")]
    assert eddie.post("/admin/edits/pictures/P-03", {"pictures": files}).status_code == status
    assert stored(staff) == before
    assert eddie.post("/admin/edits/pictures/P-03", {}).status_code == 400


def test_unacceptable_values_are_refused_with_a_sentence(staff, visitor):
    eddie, before = visitor("editor"), stored(staff)
    form = edit_form(eddie)
    answer = eddie.post("/admin/products/P-03", form | {"category": ["Beds > > Low"]})
    assert answer.status_code == 400
    assert "level without a name" in answer.text
    assert eddie.post("/admin/products/P-03", form | {"shown": ["{", ""], "values": ["x", ""]}).status_code == 400
    assert eddie.post("/admin/products/none", form).status_code == 404
    assert stored(staff) == before


def test_a_viewer_sees_but_cannot_edit(staff, visitor):
    vera = visitor("viewer")
    page = vera.get("/admin/products/P-03").text
    assert "Save</button>" not in page
    assert 'name="category"' in page
    for address in ("products", "products/P-03", "edits/undo/P-03", "edits/pictures/P-03", "edits/remove-picture/P-03"):
        assert vera.post(f"/admin/{address}", {"category": "Beds"}).status_code == 403


def test_hostile_texts_are_escaped(staff, visitor):
    hostile = "\"><script>alert('x')</script>"
    item = ProductItem(
        sku="H'\"<b>/1 2", title=hostile, category=hostile, brand=hostile, url="javascript:alert(1)",
        attributes={hostile: (hostile, 'a "quoted" value')}, dimensions={hostile: hostile}, images=stored(staff).images,
    )  # fmt: skip
    import_products(staff, added=(item,))
    eddie = visitor("editor")
    with staff.sessions.begin() as session:
        session.execute(update(Image).where(Image.product_id == 13).values(problem=hostile))
    listed = eddie.get("/admin/products")
    address = next(each for each in skus(listed.text) if each.startswith("H"))
    page = eddie.get(f"/admin/products/{address}")
    assert page.status_code == 200
    for text in (listed.text, page.text):
        assert "<script>alert" not in text
        assert "javascript:" not in text
    form = edit_form(eddie, address)
    assert eddie.post(f"/admin/products/{address}", form | {"category": [hostile + "2"]}).status_code == 303
    changed = stored(staff, item.sku)
    assert changed.category.endswith("2")
    assert changed.attributes == item.attributes
    change = {"change": ["attribute"], "attribute": ["x"], "values": [hostile]}
    form = hidden(eddie.get("/admin/products").text) | change
    assert eddie.post("/admin/products", form | {"sku": [item.sku]}).status_code == 303
    assert stored(staff, item.sku).attributes["x"] == (hostile,)
    assert "<script>alert" not in eddie.get(f"/admin/products/{address}").text
