"""Colours that nobody needs to tell apart by their hue: contrasts of text and lines (WCAG 2.2), and what distances are left for who sees no red, no
green, no blue, or no colour at all.

The simulation of colour vision deficiencies: G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, IEEE Transactions on Visualization and Computer
Graphics 15 (2009), matrices of severity 1.0, in linear RGB. Distances are CIE 1976 (Euclidean in L*a*b*, D65): 2.3 is one that can just be noticed."""

import itertools

import pytest

from viewer_commands import BUILD

VISIONS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "achromatopsia": ((0.2126, 0.7152, 0.0722),) * 3,
}
FLAME = ("user", "package", "stdlib", "import", "native", "system", "group", "folded", "tag")
NAMES = ["page", "card", "soft", "text", "dim", "accent", "grow", "shrink", "heap", "rss", "peak", "warn-back", "warn-text", "diff-none", "diff-grow", "diff-shrink", "flame-text",
         "flame-match", "focus", "accent-soft", "code-keyword", "code-string", "code-comment", "code-number", "code-title", *(f"flame-{name}" for name in FLAME)]


def linear(colour):
    channels = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def luminance(colour):
    return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear(colour)))


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb):
    rgb = [min(max(c, 0), 1) for c in rgb]
    rows = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
    x, y, z = (sum(a * b for a, b in zip(row, rgb)) / white for row, white in zip(rows, (0.95047, 1, 1.08883)))
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def distance(one, other, vision):
    seen = [lab([sum(a * b for a, b in zip(row, linear(colour))) for row in VISIONS[vision]]) for colour in (one, other)]
    return sum((a - b) ** 2 for a, b in zip(*seen)) ** 0.5


@pytest.fixture(scope="module", params=["light", "dark"])
def colours(request, browser):
    browser.open(BUILD / "viewer" / "viewer.html", scheme=request.param, wait=False)
    return browser.evaluate("Object.fromEntries(%s.map(name => [name, getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()]))" % NAMES)


def test_text_can_be_read(colours):
    """4.5 : 1 for all text (1.4.3), 3 : 1 for lines and marks (1.4.11)."""
    on_surfaces = itertools.product(("text", "dim", "accent", "grow", "shrink"), ("page", "card"))
    on_flames = itertools.product(["flame-text"], [f"flame-{name}" for name in (*FLAME, "match")])
    on_diffs = itertools.product(["flame-text"], ["diff-none", "diff-grow", "diff-shrink"])
    on_code = itertools.product(("code-keyword", "code-string", "code-comment", "code-number", "code-title"), ["card", "accent-soft"])
    pairs = [*on_surfaces, *on_flames, *on_diffs, *on_code, ("warn-text", "warn-back"), ("text", "accent-soft"), ("dim", "soft"), ("dim", "accent-soft")]
    assert {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < 4.5} == {}
    marks = [(name, "card") for name in ("heap", "rss", "peak", "focus")]
    assert {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in marks if contrast(colours[pair[0]], colours[pair[1]]) < 3} == {}


@pytest.mark.parametrize("vision", VISIONS)
def test_what_grew_and_what_shrank(colours, vision):
    """Whoever sees any colour tells them apart by it, everybody from what did not change; signs and amounts say it as well."""
    least = 6 if vision == "achromatopsia" else 20
    pairs = [("diff-grow", "diff-shrink"), ("diff-grow", "diff-none"), ("diff-shrink", "diff-none")]
    assert {pair: round(distance(colours[pair[0]], colours[pair[1]], vision), 1) for pair in pairs if distance(colours[pair[0]], colours[pair[1]], vision) < least} == {}


@pytest.mark.parametrize("vision", VISIONS)
def test_your_own_code_stands_out(colours, vision):
    """Its frames from those of all others, and the heap's line from that of the resident set (which is dashed, too)."""
    own = {name: round(distance(colours["flame-user"], colours[f"flame-{name}"], vision), 1) for name in FLAME[1:]}
    assert {name: far for name, far in own.items() if far < 6} == {}
    assert distance(colours["heap"], colours["rss"], vision) > (6 if vision == "achromatopsia" else 20)
