"""Which of the shop's products go where."""

from demo_shop_renderer.catalogue import Product
from demo_shop_renderer.shapes import Chair


def tall_stool(product: Product) -> bool:
    """Return whether it belongs at a bar."""
    return isinstance(product.shape, Chair) and product.shape.seat_height > 0.6


def low_stool(product: Product) -> bool:
    """Return whether one's feet reach the floor from it."""
    return not tall_stool(product)


def low_case(product: Product) -> bool:
    """Return whether a lamp may stand on it."""
    return product.shape.height < 1.15


def bedside(product: Product) -> bool:
    """Return whether it goes beside a bed."""
    return product.shape.height < 0.7 and product.shape.width < 0.62


def big_case(product: Product) -> bool:
    """Return whether it is more than a bedside cabinet."""
    return not bedside(product)


def scenes_for(product: Product) -> tuple[str, ...]:
    """Return the rooms a product may stand in."""
    if product.category == "stool":
        return ("bar",) if tall_stool(product) else ("corner", "hall", "living", "wall", "bedroom")
    if product.category == "cabinet":
        if bedside(product):
            return ("bedroom",)
        if product.shape.height > 1.7:
            return ("wardrobe", "wardrobe", "wall")
        return ("wall", "hall", "dining", "wardrobe") if low_case(product) else ("wall", "dining", "wardrobe")
    return _ROOMS[product.category]


_ROOMS = {
    "bed": ("bedroom",),
    "sofa": ("living",),
    "armchair": ("living", "corner", "bedroom", "corner"),
    "chair": ("dining", "study", "hall", "dining", "corner"),
    "dining_table": ("dining",),
    "coffee_table": ("living",),
    "desk": ("study",),
    "bookcase": ("wall", "study", "corner"),
    "floor_lamp": ("living", "corner", "wall", "bedroom"),
    "table_lamp": ("hall", "study", "bedroom", "living"),
}
