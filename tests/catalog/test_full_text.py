import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import sessionmaker

from catalog.changes import Changes, ProductItem, apply
from catalog.full_text import match, read_vocabulary

ITEMS = (
    ProductItem("1", "Leather sofa", description="Seats three."),
    ProductItem("2", "Sofas' cover", brand="Klippan"),
    ProductItem("3", "Floor lamp", description="Beside any sofa, or a chair.", attributes={"material": ("velvet",)}),
    ProductItem("4", "Fauteuil crème", brand="Maison"),
    ProductItem("5", "Sofa table"),
)
"""Product ids 1 to 5."""


@pytest.fixture
def filled(session):
    """A session on a catalog of five products, the last one withdrawn."""
    apply(session, Changes(added=ITEMS))
    apply(session, Changes(withdrawn=("5",)))
    session.commit()
    return session


def search(session, text: str, synonyms=None, languages=("en",)) -> list[int]:
    """Return the products that have all wanted words and no excluded one."""
    found = match(session, text, read_vocabulary(session, languages, synonyms or {}))
    if not found.wanted or found.unknown:
        return []
    ids = set.intersection(*(set(each.mentioned.tolist()) for each in found.wanted))
    return sorted(ids - set(found.excluded.tolist()))


FOUND = {
    "lamp": [3],
    "LAMPS": [3],
    "klippan": [2],
    "crème": [4],
    "leath": [1],
    "sofas": [1, 2, 3],
    "three-seat sofa": [1],
    "sofa -leather": [2, 3],
    "sofa −leather -lamps": [2],
    "sofa -nowhere": [1, 2, 3],
    "sofa not leather": [2, 3],
    "Sofa ohne das leather": [2, 3],
    "sofa pas de leather sans lamps": [2],
    "kein -leather lamp": [3],
    "sofa not": [1, 2, 3],
    "velvet": [3],
    "the sofa in leather": [1],
    "x " * 5000 + "lamp": [],
}


@pytest.mark.parametrize("text", FOUND)
def test_search(filled, text):
    """Case, endings and articles are ignored, and withdrawn products and those with excluded words are left out."""
    assert search(filled, text) == FOUND[text]


@pytest.mark.parametrize("text", ["table", "", " \t", "*", "--", '"', "nowhere", "le", "material", "-sofa"])
def test_nothing_is_found(filled, text):
    """Names of attributes are not searched, and two letters are no beginning of a word."""
    assert search(filled, text) == []


def test_words_of_the_description_only_mention_a_product(filled):
    (sofa,) = match(filled, "sofa", read_vocabulary(filled)).wanted
    assert (sofa.named.tolist(), sofa.mentioned.tolist()) == ([1, 2], [1, 2, 3])
    (velvet,) = match(filled, "velvet", read_vocabulary(filled)).wanted
    assert velvet.named.tolist() == [3], "an attribute"


def test_synonyms(filled):
    """They may be phrases, have endings themselves, and are used in one direction only."""
    synonyms = {"hide": ("leather",), "couch": ("sofa", "floor lamps"), "light": ("floor lamp",)}
    found = {
        "hides": [1],
        "couches": [1, 2, 3],
        "light": [3],
        "leather -couch": [],
        "couch -hide": [2, 3],
        "leather": [1],
    }
    assert {text: search(filled, text, synonyms) for text in found} == found


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [("de", "Grüner Stoff", [1]), ("de", "grune stoffe", [1]), ("fr", "chaises vertes", [2]), ("fr", "canapé", [3])],
)
def test_languages(session, language, text, found):
    items = (
        ProductItem("1", "Sessel, grün", attributes={"Stoff": ("grüne Stoffe",)}),
        ProductItem("2", "Chaise verte"),
        ProductItem("3", "Canapés"),
    )
    apply(session, Changes(added=items))
    assert search(session, text, languages=(language,)) == found


SOFAS = (
    ProductItem("1", "Sofa", attributes={"color": ("moss",), "legs": ("black steel",)}),
    ProductItem("2", "Sofa", attributes={"color": ("black",), "legs": ("oak",)}),
    ProductItem("3", "Sofa, green as grass", attributes={"legs": ("oak",)}),
    ProductItem("4", "Sofa", attributes={"color": ("light grey", "sky blue")}),
)


@pytest.mark.parametrize(
    ("text", "named", "mentioned", "meant"),
    [
        ("green", [1, 3], [1, 3], ("moss",)),
        ("grünes", [1], [1], ("moss",)),
        ("vertes", [1], [1], ("moss",)),
        ("Moosgrün", [1], [1], ("moss",)),
        ("black", [2], [1, 2], ("black",)),
        ("himmelblau", [4], [4], ("sky blue",)),
        ("olive", [1], [1], ("moss",)),
        ("oak", [2, 3], [2, 3], ()),
        ("black steel", [1, 2], [1, 2], ("black",)),
    ],
)
def test_colors(session, text, named, mentioned, meant):
    """A color stands for its shades in all languages; a shade that is not sold for others of its family.

    Black legs make no sofa black, but it mentions the word; "black steel" asks for the legs.
    """
    apply(session, Changes(added=SOFAS))
    colored = {"moss": [1], "black": [2], "light grey": [4], "sky blue": [4]}
    arrays = {value: np.array(ids, dtype=np.int64) for value, ids in colored.items()}
    vocabulary = read_vocabulary(session, colored=arrays, values=("black steel", "oak"))
    word = match(session, text, vocabulary).wanted[0]
    assert (word.named.tolist(), word.mentioned.tolist(), word.colors) == (named, mentioned, meant)


def test_colors_in_texts(session):
    """Without attributes that are colors, texts are searched; the shop's own synonyms replace the shades."""
    items = ("Sofa, moss", "Canapé bleu ciel", "Sofa, olive")
    apply(session, Changes(added=tuple(ProductItem(str(number), title) for number, title in enumerate(items))))
    found = {"grün": [1, 3], "sky": [], "himmelblau": [2], "blue": [2]}
    assert {text: search(session, text) for text in found} == found
    assert search(session, "green", {"green": ("olive",)}) == [3]


OPERATORS = (
    *('sofa" OR "lamp', "sofa'; DROP TABLE product; --", "sofa AND NOT (", "title:sofa"),
    *("sofa & ! | <->", "NEAR(sofa lamp)", "sofa*:^", "\\sofa"),
)


@pytest.mark.parametrize("text", OPERATORS)
def test_operators_are_plain_text(filled, text):
    found = match(filled, text, read_vocabulary(filled))
    assert 1 in [*found.wanted[0].mentioned.tolist(), *found.excluded.tolist()]


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(stored=TEXTS, searched=st.text(max_size=40))
def test_any_text_is_safe(engine, stored, searched):
    with sessionmaker(engine)() as session:
        apply(session, Changes(added=(ProductItem("1", stored),)))
        for text in (stored, searched, f"-{searched}"):
            assert isinstance(search(session, text), list)


def test_index_follows_changes(filled):
    apply(filled, Changes(changed=(ProductItem("1", "Armchair", attributes={"fabric": ("silk",)}),)))
    filled.commit()
    assert search(filled, "silk") == [1]
    assert search(filled, "leather") == []


PREDICTED = [(3, "Dark green"), (2, "crème"), (1, "oak"), (4, "oak")]


@pytest.mark.parametrize(
    ("text", "named", "mentioned"),
    [("green", [], [3]), ("dark greens", [], [3]), ("creme", [4], [2, 4]), ("gre", [], [3]), ("velvet", [3], [3])],
)
def test_words_of_predicted_attributes(filled, text, named, mentioned):
    """They come after products that are named so, and count for phrases, stems and beginnings of words."""
    found = match(filled, text, read_vocabulary(filled, predicted=PREDICTED))
    assert (found.unknown, found.wanted[-1].named.tolist()) == ((), named)
    assert found.wanted[-1].mentioned.tolist() == mentioned


def test_excluded_and_synonymous_predictions(filled):
    vocabulary = read_vocabulary(filled, ("en",), {"moss": ("dark green",), "wood": ("oak",)}, PREDICTED)
    assert match(filled, "-wood", vocabulary).excluded.tolist() == [1, 4]
    assert match(filled, "moss", vocabulary).wanted[0].mentioned.tolist() == [3]
    assert match(filled, "green moss", vocabulary).unknown == ()
