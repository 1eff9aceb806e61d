"""JSON records: parse a line of JSON, transform the record, dump it again. Millions of small objects, nearly all temporary."""

import json
import sys

DEFAULT_SIZE = 280_000


def make_line(number):
    return json.dumps({
        "id": number,
        "user": {"name": f"user {number % 5003}", "tags": [f"tag{(number * k) % 97}" for k in range(1, 9)]},
        "items": [{"sku": f"{number * 7919 % 100003:06}", "price": number * k % 1000 / 4, "count": k} for k in range(1, 9)],
        "note": "a sentence of some words " * (number % 5),
    })


def transform(record):
    return {
        "id": str(record["id"]),
        "name": record["user"]["name"].title(),
        "tags": sorted({tag.upper() for tag in record["user"]["tags"]}),
        "total": sum(item["price"] * item["count"] for item in record["items"]),
        "skus": [item["sku"] for item in record["items"] if item["price"] > 10],
    }


def main(size):
    lines = [make_line(number) for number in range(size // 4)]
    kept, dumped_bytes = [], 0
    for turn in range(4):
        for number, line in enumerate(lines):
            result = transform(json.loads(line))
            dumped_bytes += len(json.dumps(result))
            if (number + turn) % 8 == 0:
                kept.append(result)
    print(dumped_bytes, len(kept))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE)
