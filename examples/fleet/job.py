#!/usr/bin/env python3
"""The job of a fleet: counts the words of a batch of texts. Version 2 keeps each text beside its counts, which nobody needs.

    job.py VERSION SEED
"""

import collections
import random
import sys


def make_texts(seed):
    generator = random.Random(seed)
    words = [f"word{generator.randrange(5000)}" for _ in range(2000)]
    return [" ".join(generator.choices(words, k=1000)) for _ in range(generator.randrange(100, 300))]


def count_words(texts, version):
    found = []
    for text in texts:
        counts = collections.Counter(text.split())
        found.append((counts, text.upper() if version == 2 else None))
    return found


def main():
    version, seed = int(sys.argv[1]), int(sys.argv[2])
    found = count_words(make_texts(seed), version)
    print(len(found), "texts")


main()
