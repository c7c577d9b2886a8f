"""Charts as plain SVG: lines over a logarithmic number, and bars. Every mark has its figure beside it, so that no colour is needed
to read one; the background is white, so that it reads on any page.
"""

import math
from html import escape

COLOURS = ["#0b5fa5", "#b3541e", "#2e7d32", "#7b3f98", "#8a6d00", "#5f6b76", "#a8324a", "#00757a"]
INK, FAINT = "#1c2126", "#d5dade"
WIDTH = 760


def page(height, title, body):
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}" role="img">'
    )
    name = f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>'
    heading = text(16, 24, title, size=15)
    return "\n".join([head, name, heading, *body, "</svg>"]) + "\n"


def text(x, y, words, anchor="start", size=12, colour=INK):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(words)}</text>'


def line(x1, y1, x2, y2, colour=FAINT, width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def figure(value):
    """Three digits, as a person writes them."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def decades(values):
    """The powers of ten that hold all values."""
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def spread(wanted, gap, top, bottom):
    """Heights for labels, as near to the wanted ones as they fit without touching. In the order of `wanted`."""
    order = sorted(range(len(wanted)), key=lambda at: wanted[at])
    found = [0.0] * len(wanted)
    last = top - gap
    for at in order:
        last = found[at] = max(wanted[at], last + gap)
    over = last - bottom
    for at in reversed(order):
        if over <= 0:
            break
        found[at] = min(found[at], bottom)
        bottom = found[at] - gap
    return found


def lines(title, series, across, unit):
    """Series: name → {number: value}. Both axes are logarithmic; zero stands left of one."""
    left, right, top, bottom = 60, WIDTH - 250, 60, 380
    numbers = sorted({number for values in series.values() for number in values})
    at_x = {number: left + (right - left) * at / max(len(numbers) - 1, 1) for at, number in enumerate(numbers)}
    low, high = decades([value for values in series.values() for value in values.values()])
    at_y = lambda value: bottom - (bottom - top) * (math.log10(value) - low) / (high - low)
    body = [text(left, 46, f"{unit}, logarithmic", size=11)]
    for power in range(low, high + 1):
        y = at_y(10**power)
        body += [line(left, y, right, y), text(left - 8, y + 4, f"{10**power:,g}", "end", 11)]
    for number, x in at_x.items():
        body += [line(x, bottom, x, bottom + 4, INK), text(x, bottom + 18, f"{number:,}", "middle", 11)]
    body.append(text((left + right) / 2, bottom + 38, across, "middle"))
    ends = [at_y(values[max(values)]) for values in series.values()]
    for at, ((name, values), label) in enumerate(zip(series.items(), spread(ends, 15, top, bottom))):
        colour = COLOURS[at % len(COLOURS)]
        points = [(at_x[number], at_y(value)) for number, value in sorted(values.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        x, y = points[-1]
        body += [line(x + 5, y, right + 12, label, FAINT), text(right + 16, label + 4, f"{name}: {figure(values[max(values)])}", colour=colour)]
    return page(440, title, body)


def bars(title, groups, unit):
    """Groups: row → {name: value}. Each row has its own scale from zero, since rows differ by a thousand."""
    body, y, left, longest = [text(16, 46, f"{unit}; each group on its own scale from zero", size=11)], 66, 150, WIDTH - 240
    names = list(dict.fromkeys(name for values in groups.values() for name in values))
    for row, values in groups.items():
        body.append(text(16, y + 12, row, size=13))
        y += 20
        most = max(values.values())
        for name, value in sorted(values.items(), key=lambda item: item[1]):
            width = max(longest * value / most, 1)
            colour = COLOURS[names.index(name) % len(COLOURS)]
            body += [
                text(left - 8, y + 12, name, "end"),
                f'<rect x="{left}" y="{y}" width="{width:.1f}" height="16" rx="2" fill="{colour}"/>',
                text(left + width + 6, y + 12, figure(value)),
            ]
            y += 21
        y += 14
    return page(y, title, body)
