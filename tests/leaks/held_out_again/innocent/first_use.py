"""Sixty templates, each compiled at its first use; some are used often, some rarely."""
from service import random_numbers, serve

WEIGHTS = [1 / (rank + 1) for rank in range(60)]
compiled = {}


def handle(request):
    for template in random_numbers.choices(range(60), WEIGHTS, k=3):
        if template not in compiled:
            source = "\n".join(f"def field_{i}(row):\n    return '%s: {template}' % row[{i}]" for i in range(8))
            compiled[template] = compile(source, f"template {template}", "exec")


serve(handle)
