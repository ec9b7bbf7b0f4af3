"""Tables, cabinets and lamps, as the demo catalogue draws them: from the front, standing on y = FLOOR."""

from catalog.demo.canvas import Canvas, Colour, shade
from catalog.demo.seating import FLOOR, Look

_BRASS: Colour = (190, 152, 92)


def table(canvas: Canvas, look: Look, *, shelf: bool = False, drawers: int = 0, splay: float = 0.03) -> None:
    """Draw a table on four legs, with a shelf below or drawers under the top if wanted."""
    left, right, top = 0.5 - look.width / 2, 0.5 + look.width / 2, FLOOR - look.height
    canvas.shadow(left + 0.02, FLOOR - 0.025, right - 0.02, FLOOR + 0.025, strength=0.34)
    for x, lean in ((left + 0.1, -splay * 0.5), (right - 0.1, splay * 0.5)):
        canvas.bar((x, top + 0.03), (x + lean, FLOOR - 0.035), 0.022, shade(look.accent, -0.3), taper=0.6)
    if shelf:
        y = top + look.height * 0.62
        canvas.rect(left + 0.045, y, right - 0.045, y + 0.018, shade(look.main, -0.08), radius=0.006)
    if drawers:
        canvas.rect(left + 0.03, top + 0.03, right - 0.03, top + 0.12, shade(look.main, -0.05), radius=0.006)
        _drawers(canvas, look, (left + 0.035, top + 0.04, right - 0.035, top + 0.115), rows=1, columns=drawers)
    for x, lean in ((left + 0.055, -splay), (right - 0.055, splay)):
        canvas.bar((x, top + 0.02), (x + lean, FLOOR), 0.03, look.accent, taper=0.6)
    canvas.rect(left, top, right, top + 0.034, look.main, radius=0.01, volume=0.08)


def pedestal(canvas: Canvas, look: Look) -> None:
    """Draw a round table on one foot."""
    left, right, top = 0.5 - look.width / 2, 0.5 + look.width / 2, FLOOR - look.height
    canvas.shadow(0.3, FLOOR - 0.03, 0.7, FLOOR + 0.03)
    canvas.half_disc(0.33, FLOOR - 0.045, 0.67, FLOOR, look.accent)
    canvas.polygon(
        [(0.475, top + 0.03), (0.525, top + 0.03), (0.545, FLOOR - 0.03), (0.455, FLOOR - 0.03)], look.accent
    )
    canvas.ellipse(left, top - 0.026, right, top + 0.062, shade(look.main, -0.14), volume=0.06)
    canvas.ellipse(left, top - 0.04, right, top + 0.044, shade(look.main, 0.05), volume=0.05)


def cabinet(canvas: Canvas, look: Look, *, columns: int = 2, rows: int = 1, legs: float = 0.07) -> None:
    """Draw a cabinet of doors (one row) or drawers (several) on short legs."""
    left, right = 0.5 - look.width / 2, 0.5 + look.width / 2
    top, base = FLOOR - look.height, FLOOR - legs
    canvas.shadow(left - 0.005, FLOOR - 0.03, right + 0.005, FLOOR + 0.025)
    for x, lean in ((left + 0.05, -0.012), (right - 0.05, 0.012)):
        canvas.bar((x, base), (x + lean, FLOOR), 0.026, look.accent, taper=0.6)
    canvas.rect(left, top, right, base, shade(look.main, -0.12), radius=0.01, volume=0.05)
    canvas.rect(left - 0.006, top - 0.008, right + 0.006, top + 0.014, shade(look.main, 0.06), radius=0.006)
    box = (left + 0.014, top + 0.024, right - 0.014, base - 0.014)
    if rows == 1:
        _doors(canvas, look, box, columns)
    else:
        _drawers(canvas, look, box, rows=rows, columns=columns)


def bookcase(canvas: Canvas, look: Look, *, rows: int = 5, columns: int = 1, back: bool = True) -> None:
    """Draw open shelves with a few books and bowls on them."""
    left, right, top = 0.5 - look.width / 2, 0.5 + look.width / 2, FLOOR - look.height
    canvas.shadow(left - 0.005, FLOOR - 0.025, right + 0.005, FLOOR + 0.02)
    if back:
        canvas.rect(left, top, right, FLOOR - 0.01, shade(look.main, -0.24), volume=0.04)
    tall, wide = (look.height - 0.02) / rows, look.width / columns
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * wide + 0.02, top + (row + 1) * tall - 0.003
            _things(canvas, (x, y - tall + 0.03, x + wide - 0.04, y + 0.004), row * 2 + column)
    for row in range(rows + 1):
        y = top + row * tall
        canvas.rect(left, y, right, y + 0.018, look.main, volume=0.05)
    for column in range(columns + 1):
        x = left + column * (look.width - 0.018) / columns
        canvas.rect(x, top, x + 0.018, FLOOR, shade(look.accent, 0.02), volume=0.05)


def floor_lamp(canvas: Canvas, look: Look, *, arc: bool = False) -> None:
    """Draw a floor lamp: with an arc and a dome, or straight with a drum shade."""
    top = FLOOR - look.height
    foot = 0.34 if arc else 0.5
    canvas.shadow(foot - 0.11, FLOOR - 0.015, foot + 0.11, FLOOR + 0.02)
    canvas.half_disc(foot - 0.09, FLOOR - 0.022, foot + 0.09, FLOOR + 0.004, look.accent)
    if arc:
        canvas.bar((foot, top + 0.2), (foot, FLOOR - 0.01), 0.013, look.accent)
        canvas.arc(foot - 0.0065, top, foot + 0.36, top + 0.4, (180, 350), 0.013, look.accent)
        canvas.glow(foot + 0.2, top + 0.2, foot + 0.5, top + 0.42)
        canvas.half_disc(foot + 0.25, top + 0.14, foot + 0.45, top + 0.26, look.main)
    else:
        canvas.bar((0.5, top + 0.1), (0.5, FLOOR - 0.01), 0.014, look.accent)
        _drum(canvas, (0.5 - look.width / 2, top, 0.5 + look.width / 2, top + 0.17), look.main)


def table_lamp(canvas: Canvas, look: Look) -> None:
    """Draw a table lamp: a round ceramic base under a drum shade."""
    top = FLOOR - look.height
    canvas.shadow(0.36, FLOOR - 0.025, 0.64, FLOOR + 0.025)
    middle = top + look.height * 0.5
    canvas.bar((0.5, middle - 0.02), (0.5, middle + 0.09), 0.022, _BRASS)
    canvas.ellipse(0.5 - 0.115, middle + 0.05, 0.5 + 0.115, FLOOR - 0.004, look.accent, volume=0.24)
    canvas.rect(0.44, FLOOR - 0.018, 0.56, FLOOR, shade(look.accent, -0.15), radius=0.006)
    _drum(canvas, (0.5 - look.width / 2, top, 0.5 + look.width / 2, middle), look.main)


def pendant(canvas: Canvas, look: Look) -> None:
    """Draw a dome lamp that hangs from the upper edge."""
    y = FLOOR - look.height
    canvas.line((0.5, -1), (0.5, y), 0.007, (60, 56, 52))
    canvas.glow(0.5 - look.width / 2, y + look.height - 0.1, 0.5 + look.width / 2, y + look.height + 0.16)
    canvas.rect(0.475, y - 0.05, 0.525, y + 0.02, look.accent, radius=0.012)
    canvas.ellipse(
        0.5 - look.width * 0.46,
        y + look.height - 0.03,
        0.5 + look.width * 0.46,
        y + look.height + 0.025,
        (255, 240, 205),
        volume=0.03,
    )
    canvas.half_disc(0.5 - look.width / 2, y, 0.5 + look.width / 2, y + look.height, look.main, volume=0.16)


def mirror(canvas: Canvas, look: Look) -> None:
    """Draw a round mirror hanging on the wall."""
    left, right = 0.5 - look.width / 2, 0.5 + look.width / 2
    top, bottom = FLOOR - look.height, FLOOR
    canvas.shadow(left + 0.01, top + 0.025, right + 0.02, bottom + 0.035, strength=0.3)
    canvas.ellipse(left, top, right, bottom, look.main)
    canvas.ellipse(left + 0.016, top + 0.016, right - 0.016, bottom - 0.016, (214, 224, 228), volume=0.12)
    for shift in (0.0, 0.07):
        start = (left + 0.1 + shift, top + look.height * 0.55 + shift * 0.4)
        canvas.line(start, (start[0] + 0.16, start[1] - 0.16), 0.014, (236, 241, 243))


def _doors(canvas: Canvas, look: Look, box: tuple[float, float, float, float], count: int) -> None:
    left, top, right, bottom = box
    wide = (right - left) / count
    for number in range(count):
        x = left + number * wide
        canvas.rect(x + 0.002, top, x + wide - 0.002, bottom, look.main, radius=0.005, volume=0.05)
        knob = x + (wide - 0.022 if number % 2 == 0 else 0.012)
        middle = (top + bottom) / 2
        canvas.rect(knob, middle - 0.03, knob + 0.009, middle + 0.03, look.accent, radius=0.004)


def _drawers(canvas: Canvas, look: Look, box: tuple[float, float, float, float], *, rows: int, columns: int) -> None:
    left, top, right, bottom = box
    wide, tall = (right - left) / columns, (bottom - top) / rows
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * wide, top + row * tall
            canvas.rect(x + 0.002, y + 0.002, x + wide - 0.002, y + tall - 0.003, look.main, radius=0.005, volume=0.06)
            middle, height = x + wide / 2, y + tall * 0.42
            canvas.rect(middle - 0.026, height, middle + 0.026, height + 0.01, look.accent, radius=0.005)


def _drum(canvas: Canvas, box: tuple[float, float, float, float], fill: Colour) -> None:
    left, top, right, bottom = box
    canvas.glow(left - 0.02, top + 0.02, right + 0.02, bottom + 0.12, strength=0.5)
    taper = (right - left) * 0.14
    canvas.polygon([(left + taper, top), (right - taper, top), (right, bottom), (left, bottom)], fill, volume=0.1)
    canvas.line((left + 0.004, bottom - 0.004), (right - 0.004, bottom - 0.004), 0.005, shade(fill, -0.18))


def _things(canvas: Canvas, box: tuple[float, float, float, float], turn: int) -> None:
    """Put books, a vase or nothing on a shelf; `turn` decides which."""
    left, top, right, bottom = box
    covers: tuple[Colour, ...] = (
        (178, 98, 74),
        (92, 112, 108),
        (224, 206, 176),
        (70, 78, 98),
        (198, 160, 96),
    )
    tall = bottom - top
    if turn % 3 == 0:
        for number in range(min(5, int((right - left) / 0.03))):
            x = left + 0.004 + number * 0.025
            height = tall * (0.62 + 0.1 * ((number * 7 + turn) % 3))
            canvas.rect(x, bottom - height, x + 0.021, bottom, covers[(number + turn) % 5], radius=0.003)
    elif turn % 3 == 1:
        middle = (left + right) / 2
        canvas.ellipse(middle - tall * 0.28, bottom - tall * 0.6, middle + tall * 0.28, bottom, covers[(turn + 2) % 5])
        canvas.rect(
            middle - tall * 0.1,
            bottom - tall * 0.8,
            middle + tall * 0.1,
            bottom - tall * 0.5,
            covers[(turn + 2) % 5],
        )
    else:
        for number in range(3):
            y = bottom - 0.02 * (number + 1)
            canvas.rect(
                right - 0.1,
                y,
                right - 0.005 * number - 0.002,
                y + 0.018,
                covers[(number + turn) % 5],
                radius=0.003,
            )
