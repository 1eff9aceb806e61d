"""Deterministic texts for the text workloads: words drawn by a skewed law, as in natural language."""

import random


def make_texts(count, words_per_text, vocabulary_size=20_000, seed=7):
    generator = random.Random(seed)
    syllables = ["ba", "co", "di", "fu", "ge", "ha", "ki", "lo", "mu", "ne", "po", "ra", "si", "tu", "ve", "zo"]
    vocabulary = sorted({"".join(generator.choices(syllables, k=generator.randint(1, 5))) for _ in range(vocabulary_size)})
    texts = []
    for _ in range(count):
        words = [vocabulary[int(len(vocabulary) * generator.random() ** 4)] for _ in range(words_per_text)]
        for place in range(9, words_per_text, 10):
            words[place] += "."
        texts.append(" ".join(words).capitalize())
    return texts
