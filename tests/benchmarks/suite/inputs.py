"""Generated inputs of the native workloads: a script for the sqlite3 shell and a C file for the compiler. The same bytes on every machine."""

import random

from .places import INPUTS


def sqlite_script(size):
    """About `size` statements on a database in memory: single inserts, then indexes, joins, groups, JSON and window functions over them."""
    generator = random.Random(11)
    lines = [".open :memory:", "BEGIN;", "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);",
             "CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, product TEXT, amount REAL, note TEXT);"]
    customers = max(size // 10, 10)
    for number in range(customers):
        lines.append(f"INSERT INTO customer VALUES ({number}, 'customer {generator.randrange(10**6)}', 'city {generator.randrange(300)}');")
    for number in range(size):
        lines.append(f"INSERT INTO purchase VALUES ({number}, {generator.randrange(customers)}, 'product {generator.randrange(500)}', "
                     f"{generator.randrange(10**5) / 100}, '{'some words ' * generator.randrange(6)}');")
    lines += ["COMMIT;", "CREATE INDEX purchase_customer ON purchase (customer);", "CREATE INDEX customer_city ON customer (city);"]
    for number in range(size // 20):
        lines.append(f"SELECT count(*), sum(amount) FROM purchase WHERE customer = {generator.randrange(customers)} AND amount > {number % 900};")
    lines += [
        "SELECT city, count(*), round(sum(amount)) FROM customer JOIN purchase ON customer.id = customer GROUP BY city ORDER BY 3 DESC LIMIT 5;",
        "SELECT product, length(group_concat(name, ', ')) FROM purchase JOIN customer ON customer.id = customer GROUP BY product LIMIT 5;",
        "SELECT sum(json_extract(json_object('id', id, 'amount', amount, 'note', note), '$.amount')) FROM purchase;",
        "SELECT max(r) FROM (SELECT rank() OVER (PARTITION BY customer ORDER BY amount) AS r FROM purchase);",
        "SELECT count(DISTINCT upper(product) || substr(note, 1, 5)) FROM purchase;",
    ]
    return "\n".join(lines) + "\n"


def c_function(generator, number):
    """A function with a loop, a switch, structures and calls of earlier functions: enough for every pass of the compiler to have work."""
    cases = "\n".join(
        f"        case {k}: item->values[{generator.randrange(8)}] {generator.choice(['+=', '^=', '-='])} "
        f"(item->key {generator.choice(['*', '+', '|'])} {generator.randrange(3, 999)}) >> {generator.randrange(1, 9)}; break;"
        for k in range(generator.randrange(3, 12)))
    callee = f"work_{generator.randrange(number)}(&copy, depth - 1)" if number else "(int)copy.key"
    return f"""
static const char text_{number}[] = "text of function {number}";
int work_{number}(struct item *item, int depth)
{{
    struct item copy = *item;
    double weight = {generator.randrange(1, 99)}.5;
    for (int i = 0; i < {generator.randrange(4, 40)}; i++) {{
        switch ((item->key + i) % {generator.randrange(5, 13)}) {{
{cases}
        default: item->key += text_{number}[i % (sizeof text_{number} - 1)];
        }}
        copy.values[i & 7] += item->values[(i * {generator.randrange(1, 7)}) & 7];
        weight = weight * 1.0{generator.randrange(1, 9)} + copy.values[i & 7];
    }}
    if (depth > 0 && (copy.key & {1 << generator.randrange(6)}))
        return {callee} + (int)weight;
    return copy.values[{generator.randrange(8)}] + (int)weight;
}}
"""


def c_source(size):
    """`size` functions in one file that includes nothing."""
    generator = random.Random(13)
    functions = "".join(c_function(generator, number) for number in range(size))
    table = ", ".join(f"work_{number}" for number in range(size))
    return f"""struct item {{ unsigned key; int values[8]; struct item *next; }};
{functions}
int (*const table[])(struct item *, int) = {{ {table} }};
"""


def write_input(name, make, size):
    """The path of an input of this size, made where it is not there yet."""
    stem, suffix = name.rsplit(".", 1)
    path = INPUTS / f"{stem}-{size}.{suffix}"
    if not path.exists():
        INPUTS.mkdir(parents=True, exist_ok=True)
        path.write_text(make(size))
    return path
