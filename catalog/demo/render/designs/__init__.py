"""All designs of the shop: one family is made of each."""

from catalog.demo.render.designs.armchairs import ARMCHAIRS
from catalog.demo.render.designs.beds import BEDS
from catalog.demo.render.designs.bookcases import BOOKCASES
from catalog.demo.render.designs.cabinets import CABINETS
from catalog.demo.render.designs.chairs import CHAIRS
from catalog.demo.render.designs.coffee_tables import COFFEE_TABLES
from catalog.demo.render.designs.design import Design
from catalog.demo.render.designs.desks import DESKS
from catalog.demo.render.designs.dining_tables import DINING_TABLES
from catalog.demo.render.designs.floor_lamps import FLOOR_LAMPS
from catalog.demo.render.designs.framed_sofas import FRAMED_SOFAS
from catalog.demo.render.designs.sofas import SOFAS
from catalog.demo.render.designs.stools import STOOLS
from catalog.demo.render.designs.table_lamps import TABLE_LAMPS

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
