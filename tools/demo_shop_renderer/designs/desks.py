"""Desks. Parts: top, base, handles or fronts."""

from demo_shop_renderer.designs.design import Design
from demo_shop_renderer.shapes import Table

DESKS = (
    Design(
        key="desk/writing",
        noun="writing desk",
        style="mid-century",
        shape=Table(width=1.2, depth=0.6, height=0.76, legs="tapered", storage="drawers", drawers=2, apron=0.12),
        finishes=("walnut|oak|white oak", "walnut|oak|white oak", "brass|black steel"),
        text="Two shallow drawers and slender legs.",
        price=349,
    ),
    Design(
        key="desk/pedestal",
        noun="pedestal desk",
        style="traditional",
        shape=Table(
            width=1.45, depth=0.68, height=0.77, legs="none", storage="both", drawers=3, handle="cup", thick=0.035
        ),
        finishes=("cherry|walnut|paint:white|paint:forest", "cherry|walnut|paint:white|paint:forest", "brass|bronze"),
        text="Three drawers on either side and a roomy middle.",
        price=690,
    ),
    Design(
        key="desk/left",
        noun="desk with drawers",
        style="functional",
        shape=Table(width=1.3, depth=0.62, height=0.74, legs="straight", storage="left", drawers=3, handle="slot"),
        finishes=("paint:white|oak|black ash|paint:sage", "white steel|black steel"),
        text="A stack of three drawers on one side, steel legs on the other.",
        price=279,
    ),
    Design(
        key="desk/secretary",
        noun="secretary",
        style="classic",
        shape=Table(width=0.95, depth=0.52, height=1.12, legs="tapered", storage="hutch", drawers=2, apron=0.1),
        finishes=("walnut|oak|paint:petrol|paint:blush", "walnut|oak", "brass"),
        text="Pigeonholes above the writing surface, drawers below.",
        price=449,
    ),
    Design(
        key="desk/lift",
        noun="standing desk",
        style="functional",
        shape=Table(width=1.5, depth=0.75, height=0.98, top="rounded", legs="lift", thick=0.028),
        finishes=("oak|walnut|paint:white|paint:black", "white steel|black steel"),
        text="Electric columns take it from sitting to standing height.",
        price=549,
    ),
    Design(
        key="desk/trestle",
        noun="trestle desk",
        style="workshop",
        shape=Table(width=1.5, depth=0.7, height=0.75, legs="sawhorse", thick=0.025),
        finishes=("birch|walnut|paint:white|glass:clear", "oak|black ash|paint:white|paint:lilac"),
        text="A generous board on a pair of trestles with a shelf between their legs.",
        price=199,
    ),
    Design(
        key="desk/hairpin",
        noun="hairpin desk",
        style="retro",
        shape=Table(width=1.1, depth=0.55, height=0.75, legs="hairpin", storage="cubbies", apron=0.13),
        finishes=("oak|walnut|paint:white|paint:petrol", "black steel|brass"),
        text="Two open compartments under the top, on hairpin legs.",
        price=239,
    ),
    Design(
        key="desk/sled",
        noun="desk",
        style="minimal",
        shape=Table(width=1.4, depth=0.66, height=0.74, legs="sled", thick=0.022, top="rectangle"),
        finishes=("glass:clear|glass:smoke|oak|paint:charcoal", "chrome|black steel|white steel"),
        text="A thin top on two closed frames of steel.",
        price=329,
    ),
    Design(
        key="desk/tambour",
        noun="bureau",
        style="Japandi",
        shape=Table(width=1.15, depth=0.55, height=0.92, legs="tapered", storage="organiser", drawers=1, apron=0.1),
        finishes=("oak|walnut|black ash", "oak|walnut|black ash", "brass"),
        text="A low gallery with cubby-holes runs along the back of the top.",
        price=429,
    ),
    Design(
        key="desk/waterfall",
        noun="console desk",
        style="contemporary",
        shape=Table(
            width=1.25, depth=0.5, height=0.75, legs="waterfall", thick=0.04, storage="drawers", drawers=1, apron=0.1
        ),
        finishes=("paint|oak|walnut", "oak|walnut", "brass"),
        text="Top and sides run into each other; a drawer hides in the shadow.",
        price=369,
    ),
    Design(
        key="desk/trestle-x",
        noun="campaign desk",
        style="campaign",
        shape=Table(
            width=1.3, depth=0.6, height=0.77, legs="x", storage="drawers", drawers=3, apron=0.13, handle="ring"
        ),
        finishes=("paint:navy|walnut|paint:white|paint:forest", "brass|black steel|chrome", "brass"),
        text="Three drawers with ring pulls on crossed metal legs.",
        price=489,
    ),
)
