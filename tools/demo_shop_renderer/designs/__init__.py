"""All designs of the shop: one family is made of each."""

from demo_shop_renderer.designs.armchairs import ARMCHAIRS
from demo_shop_renderer.designs.beds import BEDS
from demo_shop_renderer.designs.bookcases import BOOKCASES
from demo_shop_renderer.designs.cabinets import CABINETS
from demo_shop_renderer.designs.chairs import CHAIRS
from demo_shop_renderer.designs.coffee_tables import COFFEE_TABLES
from demo_shop_renderer.designs.design import Design
from demo_shop_renderer.designs.desks import DESKS
from demo_shop_renderer.designs.dining_tables import DINING_TABLES
from demo_shop_renderer.designs.floor_lamps import FLOOR_LAMPS
from demo_shop_renderer.designs.framed_sofas import FRAMED_SOFAS
from demo_shop_renderer.designs.sofas import SOFAS
from demo_shop_renderer.designs.stools import STOOLS
from demo_shop_renderer.designs.table_lamps import TABLE_LAMPS

DESIGNS: tuple[Design, ...] = (
    *BEDS,
    *SOFAS,
    *FRAMED_SOFAS,
    *ARMCHAIRS,
    *CHAIRS,
    *STOOLS,
    *DINING_TABLES,
    *COFFEE_TABLES,
    *DESKS,
    *BOOKCASES,
    *CABINETS,
    *FLOOR_LAMPS,
    *TABLE_LAMPS,
)
