"""The commands `vsearch review`."""

import json

import pytest

from catalog import review_queue, reviews
from catalog.image_store import ImageStore
from vsearch.cli import main


@pytest.fixture
def review(site, capsys):
    """A function that runs a command and returns what it prints."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["--data", str(site.settings.data), "review", *map(str, arguments)])
        assert ended.value.code == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(site, failed):
    return lambda *arguments: failed("--data", site.settings.data, "review", *arguments)


@pytest.fixture
def photos(site, tmp_path):
    """Photo files of five products."""
    files = [tmp_path / f"{number}.jpg" for number in range(5)]
    for number, file in enumerate(files):
        file.write_bytes(site.photo(number))
    return files


def labels(site):
    with site.sessions() as session:
        return reviews.effective_labels(session)


def test_everything_that_the_page_does(site, review, refused, photos):
    assert "0.jpg is photo 1." in review("add", *photos)
    review(
        "label", 1, "--sku", "P-00", "--box", "0.1,0.1,0.9,0.9", "--attribute", "color=red", "--attribute", "color=x"
    )
    review("label", 2, "--category", "Seating")
    review("label", 3, "--not-ours")
    review("label", 4, "--skip")
    assert [(label.verdict, label.box) for label in labels(site)] == [
        ("product", "0.1,0.1,0.9,0.9"),
        ("category", ""),
        ("not ours", ""),
    ]
    assert dict(labels(site)[0].attributes) == {"color": ("red", "x")}
    assert "has a label of command line" in refused("label", 1, "--not-ours")
    review("label", 1, "--sku", "P-01", "--replace")
    review("undo", 2)
    review("dismiss", 5)
    listed = json.loads(review("list", "--json"))
    states = {each["item_id"]: each["state"] for each in listed}
    assert states == {1: "labeled", 2: "open", 3: "labeled", 4: "open", 5: "dismissed"}
    (first,) = [each for each in listed if each["item_id"] == 1]
    assert first["label"]["sku"] == "P-01"
    assert [each["item_id"] for each in json.loads(review("list", "--json", "--state", "dismissed"))] == [5]
    assert "P-01" in review("list")
    sha256 = first["sha256"]
    review("delete", 1)
    assert not ImageStore(site.settings.pictures).exists(sha256)
    assert [label.verdict for label in labels(site)] == ["not ours"]


def test_labels_are_exported_and_imported(site, review, photos, tmp_path):
    """A label that a photo has already is kept."""
    review("add", *photos)
    review("label", 1, "--sku", "P-00", "--box", "0,0,0.5,0.5", "--attribute", "color=red")
    review("label", 2, "--category", "Lamps")
    review("label", 3, "--not-ours")
    before = [(label.sha256, label.verdict, label.category, label.box, label.attributes) for label in labels(site)]
    assert "Wrote 3 labels" in review("export", tmp_path / "out")
    assert "Added 0 labels; 3 photos" in review("import", tmp_path / "out" / "labels.json")
    for item in (1, 2, 3):
        review("delete", item)
    assert labels(site) == []
    assert "Added 3 labels; 0 photos" in review("import", tmp_path / "out" / "labels.json")
    after = [(label.verdict, label.category, label.box, label.attributes) for label in labels(site)]
    assert sorted(map(str, after)) == sorted(str(row[1:]) for row in before)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ("{}", "list of objects"),
        ('[{"photo": "0.jpg", "verdict": "good"}]', "Entry 1"),
        ('[{"photo": "0.jpg", "verdict": "product", "sku": "none"}]', "none"),
        ('[{"photo": "no.jpg", "verdict": "not ours"}]', "no.jpg"),
        ('[{"photo": "0.jpg", "verdict": "not ours", "attributes": ["x"]}]', "attributes"),
        ('[{"photo": "0.jpg", "verdict": "not ours", "box": "2,2,3,3"}]', "box"),
    ],
)
def test_a_bad_file_is_refused(site, refused, photos, tmp_path, content, problem):
    file = tmp_path / "labels.json"
    file.write_text(content)
    assert problem in refused("import", file)
    assert labels(site) == []


def test_mistakes(site, review, refused, photos, tmp_path):
    assert "no photo 7" in refused("label", 7, "--not-ours")
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    assert "1 of 2 photos were not added" in refused("add", photos[0], text)
    with site.sessions() as session:
        assert review_queue.one(session, 1) is not None
    assert "No live product" in refused("label", 1, "--sku", "none")
    with pytest.raises(SystemExit) as ended:
        main(["--data", str(site.settings.data), "review", "label", "1"])
    assert ended.value.code == 2
