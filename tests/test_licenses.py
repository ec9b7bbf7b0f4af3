"""A shop may use every package of the default installation in a closed product."""

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf8"))["project"]
COPYLEFT = re.compile(r"\b(A?GPL|(Affero )?General Public License|EUPL|SSPL|Server Side Public)", re.IGNORECASE)
LESSER = {"psycopg", "psycopg-binary"}
"""Under the LGPL: used unmodified, as packages of their own that whoever runs vsearch can replace, so vsearch and the
shop's programs keep their terms."""

MAX_NAME_LENGTH = 80
"""Longer values of the field License are whole texts."""


def installed() -> dict[str, Distribution]:
    """Return the packages of the default installation with the extra cpu, and what they need, by name."""
    waiting = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["cpu"]]
    found: dict[str, Distribution] = {}
    seen = set()
    while waiting:
        needed = Requirement(waiting.pop())
        for extra in needed.extras or {""}:
            key = canonicalize_name(needed.name), extra
            if key in seen:
                continue
            seen.add(key)
            try:
                found[key[0]] = distribution(needed.name)
            except PackageNotFoundError:  # for another system, or faiss-gpu in place of faiss-cpu
                continue
            rows = [Requirement(row) for row in found[key[0]].requires or ()]
            waiting += [str(row) for row in rows if row.marker is None or row.marker.evaluate({"extra": extra})]
    return found


def license_of(package: Distribution) -> str:
    """Return its license: an SPDX expression, classifiers, or a name."""
    field = (package.metadata.get("License") or "").strip()
    classifiers = [row for row in package.metadata.get_all("Classifier", []) if row.startswith("License ::")]
    named = field if len(field) <= MAX_NAME_LENGTH else ""
    return package.metadata.get("License-Expression") or "; ".join(classifiers) or named


def test_no_dependency_has_terms_that_a_shop_could_not_accept():
    licenses = {name: license_of(package) for name, package in installed().items()}
    assert len(licenses) > 40
    assert {name for name, terms in licenses.items() if not terms} == set()
    assert {name for name, terms in licenses.items() if COPYLEFT.search(terms)} == set()
    assert {name for name, terms in licenses.items() if re.search("LGPL|Lesser", terms)} <= LESSER
