"""Things to sit and lie on, as the demo catalogue draws them: from the front, standing on y = FLOOR."""

from dataclasses import dataclass

from catalog.demo.canvas import Canvas, Colour, shade

FLOOR = 0.82


@dataclass(frozen=True)
class Look:
    """The two colours of a product and its proportions."""

    main: Colour
    accent: Colour
    width: float
    height: float


def sofa(canvas: Canvas, look: Look, *, seats: int = 3, arm: float = 0.085, chaise: bool = False) -> None:
    """Draw a sofa with one cushion and one back pillow for each seat."""
    left, right = 0.5 - look.width / 2, 0.5 + look.width / 2
    top, seat, base = FLOOR - look.height, FLOOR - 0.24, FLOOR - 0.06
    canvas.shadow(left - 0.01, FLOOR - 0.035, right + 0.01, FLOOR + 0.03)
    for x in (left + 0.05, right - 0.05):
        canvas.bar((x, base - 0.01), (x + (0.012 if x > 0.5 else -0.012), FLOOR), 0.022, look.accent, taper=0.6)
    canvas.rect(left + arm * 0.5, top, right - arm * 0.5, base - 0.05, shade(look.main, -0.1), radius=0.035)
    inner = (right - left - 2 * arm) / seats
    for number in range(seats):
        x = left + arm + number * inner
        canvas.rect(x + 0.002, top + 0.025, x + inner - 0.002, seat + 0.03, look.main, radius=0.03, volume=0.1)
    canvas.rect(left + 0.015, seat + 0.05, right - 0.015, base, shade(look.main, -0.14), radius=0.015)
    for number in range(seats):
        x = left + arm + number * inner
        canvas.rect(x, seat, x + inner, seat + 0.09, shade(look.main, 0.07), radius=0.022, volume=0.1)
    if chaise:
        x = right - arm - inner
        canvas.rect(x, seat + 0.002, right - arm * 0.2, seat + 0.1, shade(look.main, 0.1), radius=0.022)
        canvas.rect(x, seat + 0.085, right - arm * 0.2, FLOOR - 0.035, shade(look.main, -0.05), radius=0.015)
    for x in (left, right - arm)[: 1 if chaise else 2]:
        canvas.rect(x, seat - 0.07, x + arm, base, shade(look.main, -0.02), radius=arm * 0.45, volume=0.13)


def armchair(canvas: Canvas, look: Look, *, wings: bool = False) -> None:
    """Draw an armchair; with wings it has a high back and ears."""
    left, right = 0.5 - look.width / 2, 0.5 + look.width / 2
    top, seat, base = FLOOR - look.height, FLOOR - 0.29, FLOOR - 0.1
    canvas.shadow(left, FLOOR - 0.03, right, FLOOR + 0.03)
    for x, lean in ((left + 0.06, -0.025), (right - 0.06, 0.025)):
        canvas.bar((x, base - 0.02), (x + lean, FLOOR), 0.024, look.accent, taper=0.55)
    if wings:
        for x in (left + 0.005, right - 0.095):
            canvas.rect(x, top + 0.04, x + 0.09, seat + 0.06, shade(look.main, -0.12), radius=0.04)
    inset = 0.05 if wings else 0.03
    canvas.rect(left + inset, top, right - inset, seat + 0.1, shade(look.main, -0.03), radius=0.07, volume=0.1)
    if wings:
        for x in (0.5 - 0.06, 0.5 + 0.06):
            for y in (top + 0.1, top + 0.18):
                canvas.ellipse(x - 0.007, y - 0.007, x + 0.007, y + 0.007, shade(look.main, -0.25))
    canvas.rect(left + 0.03, seat + 0.06, right - 0.03, base, shade(look.main, -0.15), radius=0.025)
    canvas.rect(left + 0.07, seat, right - 0.07, seat + 0.1, shade(look.main, 0.08), radius=0.03)
    for x in (left, right - 0.085):
        canvas.rect(x, seat - 0.06, x + 0.085, base - 0.005, shade(look.main, -0.01), radius=0.042, volume=0.14)


def chair(canvas: Canvas, look: Look, *, spindles: int = 0) -> None:
    """Draw a chair: with spindles a wooden one, without a padded shell."""
    left, right = 0.5 - look.width / 2, 0.5 + look.width / 2
    top, seat = FLOOR - look.height, FLOOR - 0.27
    canvas.shadow(left, FLOOR - 0.025, right, FLOOR + 0.025, strength=0.32)
    for x, lean in ((left + 0.06, 0.0), (right - 0.06, 0.0)):
        canvas.bar((x, seat), (x + lean, FLOOR - 0.035), 0.017, shade(look.accent, -0.3), taper=0.7)
    if spindles:
        step = (look.width - 0.09) / (spindles - 1)
        for number in range(spindles):
            x = left + 0.045 + number * step
            end = (0.5 + (x - 0.5) * 1.12, top + 0.035)
            canvas.bar((x, seat + 0.01), end, 0.013, shade(look.main, -0.08 if number % 2 else 0))
        canvas.rect(left - 0.015, top, right + 0.015, top + 0.055, look.main, radius=0.025)
    else:
        canvas.rect(left + 0.01, top, right - 0.01, seat + 0.03, shade(look.main, -0.04), radius=0.09)
        canvas.line((0.5, top + 0.03), (0.5, seat), 0.003, shade(look.main, -0.16))
    for x, lean in ((left + 0.03, -0.03), (right - 0.03, 0.03)):
        canvas.bar((x, seat + 0.02), (x + lean, FLOOR), 0.022, look.accent, taper=0.6)
    thick = 0.035 if spindles else 0.065
    canvas.rect(left - 0.012, seat, right + 0.012, seat + thick, shade(look.main, 0.06), radius=0.028)


def stool(canvas: Canvas, look: Look) -> None:
    """Draw a bar stool with a foot rest."""
    left, right, top = 0.5 - look.width / 2, 0.5 + look.width / 2, FLOOR - look.height
    canvas.shadow(left - 0.04, FLOOR - 0.02, right + 0.04, FLOOR + 0.02, strength=0.3)
    for x in (-0.035, 0.035):
        canvas.bar((0.5 + x, top + 0.03), (0.5 + x * 2.2, FLOOR - 0.03), 0.017, shade(look.accent, -0.3))
    rest = top + look.height * 0.68
    canvas.bar((left - 0.012, rest), (right + 0.012, rest), 0.014, shade(look.accent, -0.15))
    for x, side in ((left + 0.02, -1), (right - 0.02, 1)):
        canvas.bar((x, top + 0.02), (x + side * 0.05, FLOOR), 0.021, look.accent, taper=0.75)
    canvas.rect(left, top, right, top + 0.05, look.main, radius=0.024)


def pouf(canvas: Canvas, look: Look) -> None:
    """Draw a round knitted pouf."""
    left, right, top = 0.5 - look.width / 2, 0.5 + look.width / 2, FLOOR - look.height
    canvas.shadow(left - 0.02, FLOOR - 0.05, right + 0.02, FLOOR + 0.03)
    canvas.rect(left, top, right, FLOOR, look.main, radius=look.height * 0.45, volume=0.2)
    ribs = 9
    for number in range(1, ribs):
        x = left + look.width * number / ribs
        bend = (x - 0.5) * 0.55
        canvas.line((x - bend * 0.4, top + 0.018), (x, FLOOR - 0.02), 0.004, shade(look.main, -0.2))
    canvas.ellipse(0.5 - 0.05, top - 0.006, 0.5 + 0.05, top + 0.03, shade(look.main, 0.12))


def bed(canvas: Canvas, look: Look, *, slats: int = 0) -> None:
    """Draw a made bed from its foot; with slats the headboard is wood, without it is upholstered."""
    left, right = 0.5 - look.width / 2, 0.5 + look.width / 2
    top, mattress, base = FLOOR - look.height, FLOOR - 0.25, FLOOR - 0.05
    linen = (246, 243, 237)
    canvas.shadow(left - 0.01, FLOOR - 0.04, right + 0.01, FLOOR + 0.03)
    if slats:
        for number in range(slats):
            y = top + number * 0.055
            canvas.rect(left, y, right, y + 0.042, shade(look.main, -0.05), radius=0.008)
        for x in (left, right - 0.028):
            canvas.rect(x, top - 0.015, x + 0.028, FLOOR, look.main, radius=0.008)
    else:
        canvas.rect(left, top, right, base, look.main, radius=0.045, volume=0.08)
        for number in range(1, 6):
            x = left + look.width * number / 6
            canvas.line((x, top + 0.02), (x, mattress), 0.004, shade(look.main, -0.12))
    for x in (left + 0.07, 0.515):
        canvas.rect(x, mattress - 0.1, x + look.width / 2 - 0.085, mattress + 0.03, linen, radius=0.04, volume=0.06)
    canvas.rect(left + 0.02, mattress, right - 0.02, base - 0.02, shade(linen, -0.04), radius=0.03, volume=0.05)
    canvas.rect(left + 0.012, mattress + 0.045, right - 0.012, base - 0.01, look.accent, radius=0.028, volume=0.08)
    for number in range(1, 4):
        x = left + look.width * number / 4
        canvas.line((x, mattress + 0.07), (x + (x - 0.5) * 0.05, base - 0.02), 0.003, shade(look.accent, -0.07))
    canvas.rect(left, base - 0.045, right, base + 0.005, shade(look.main, -0.08), radius=0.012)
    for x in (left + 0.03, right - 0.055):
        canvas.rect(x, base, x + 0.025, FLOOR, shade(look.main, -0.35))
