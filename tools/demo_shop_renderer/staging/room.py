"""A planned room, as plain data."""

from dataclasses import dataclass

from demo_shop_renderer.staging.floor import Item


@dataclass(frozen=True)
class Window:
    """An opening in a wall: its middle along it, width, sill and head."""

    wall: str
    middle: float
    width: float
    sill: float
    head: float
    curtain: str


@dataclass(frozen=True)
class Hung:
    """Something on a wall: its middle along it and its height, its width and height."""

    what: str
    wall: str
    middle: float
    level: float
    size: tuple[float, float]
    seed: int


@dataclass(frozen=True)
class Rug:
    """A carpet on the floor."""

    design: str
    at: tuple[float, float]
    size: tuple[float, float]
    turn: float
    round: bool


@dataclass(frozen=True)
class Room:
    """All of a room but its camera."""

    scene: str
    size: tuple[float, float, float]
    items: tuple[Item, ...]
    main: str
    wall: str
    accent: str
    floor: str
    rug: Rug | None
    windows: tuple[Window, ...]
    hung: tuple[Hung, ...]
    door: str
    light: str
    kelvin: float
    seed: int

    def instances(self, sku: str) -> list[int]:
        """Return the numbers of the items that are this product."""
        return [number for number, item in enumerate(self.items) if item.product and item.what == sku]
