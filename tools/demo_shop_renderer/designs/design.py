"""One design of the shop: the shape all variants of a family share, and what it may be made of."""

from dataclasses import dataclass

from demo_shop_renderer.shapes import Shape


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a family is drawn from.

    Args:
        key: names the design among all.
        noun: what the product is called after its name.
        style: how the shop describes it.
        shape: of the first size.
        finishes: for each part of the product its choices, split by "|": a material (any of its colours), a
            material with a colour, or a wood or metal by its name.
        text: a sentence about the shape.
        price: of the first size, in EUR, before what the materials add.
        lead: the part whose colour the product is called by.
        sizes: further widths in metres, each with what it is called; those of the shape first.
    """

    key: str
    noun: str
    style: str
    shape: Shape
    finishes: tuple[str, ...]
    text: str
    price: int
    lead: int = 0
    sizes: tuple[tuple[str, float], ...] = ()

    @property
    def category(self) -> str:
        """The part of the key before the slash."""
        return self.key.partition("/")[0]
