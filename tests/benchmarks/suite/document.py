"""Puts tables into docs/performance.md, between markers; all else there is written by hand.

A place is `<!-- table NAME -->` and `<!-- end -->`, each on a line of its own. What is between them is replaced; places whose table is not among
the results stay as they are.
"""

import re

PLACE = re.compile(r"(<!-- table ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def fill(text, tables):
    """The document with these tables in their places. `tables`: {name: markdown}."""
    return PLACE.sub(lambda place: f"{place[1]}{tables[place[2]]}\n{place[4]}" if place[2] in tables else place[0], text)


def places(text):
    return {place[2] for place in PLACE.finditer(text)}
