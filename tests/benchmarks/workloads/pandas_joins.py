"""pandas: frames of strings and numbers, joined, grouped and pivoted several times over. Large blocks, many copies."""

import sys

import numpy
import pandas

DEFAULT_SIZE = 700_000


def make_frames(size):
    generator = numpy.random.default_rng(3)
    orders = pandas.DataFrame({
        "customer": generator.integers(0, size // 10, size),
        "product": [f"product {number}" for number in generator.integers(0, 500, size)],
        "amount": generator.random(size),
    })
    customers = pandas.DataFrame({
        "customer": numpy.arange(size // 10),
        "city": [f"city {number % 331}" for number in range(size // 10)],
    })
    return orders, customers


def main(size):
    orders, customers = make_frames(size)
    rows = 0
    for turn in range(4):
        joined = orders[orders["amount"] > turn / 10].merge(customers, on="customer")
        joined["key"] = joined["city"] + "/" + joined["product"]
        totals = joined.groupby("key")["amount"].agg(["sum", "count"]).sort_values("sum")
        pivot = joined.pivot_table(index="city", columns="product", values="amount", aggfunc="sum", fill_value=0)
        rows += len(totals) + len(pivot)
    print(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE)
