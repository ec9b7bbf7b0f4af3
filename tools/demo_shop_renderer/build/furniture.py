"""A product's geometry, from its shape and finishes: what the shape is decides which builder."""

import zlib

from demo_shop_renderer.build import beds, bentwood, cases, chairs, lamps, lounge, moulded, tables, upholstered
from demo_shop_renderer.build.maker import Maker, Scene
from demo_shop_renderer.catalogue import Product
from demo_shop_renderer.shapes import Bed, Case, Chair, Lamp, Sofa, Table

_CHAIRS = {**moulded.BUILDS, "wooden": chairs.wooden, "round": bentwood.bentwood}


def build(scene: Scene, product: Product, lit: bool = False) -> Maker:
    """Build a product about the origin, its front to the viewer; a lamp may be lit."""
    maker = Maker(scene, product.sku, zlib.crc32(product.family.design.key.encode()) % 1000)
    shape, skins = product.shape, tuple(product.finishes)
    if isinstance(shape, Sofa):
        lounge.BUILDS.get(shape.build, upholstered.upholstered)(maker, shape, skins)
    elif isinstance(shape, Chair):
        _CHAIRS.get(shape.build, chairs.wooden)(maker, shape, skins)
    elif isinstance(shape, Table):
        tables.table(maker, shape, skins)
    elif isinstance(shape, Case):
        cases.BUILDS.get(shape.build, cases.box)(maker, shape, skins)
    elif isinstance(shape, Bed):
        beds.bed(maker, shape, skins)
    elif isinstance(shape, Lamp):
        lamps.lamp(maker, shape, skins, lit)
    return maker
