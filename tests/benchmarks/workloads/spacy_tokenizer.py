"""spaCy's rule-based tokenizer (a blank pipeline, no model) over a batch of texts, with a few attributes of each token read."""

import sys

import spacy

from texts import make_texts

DEFAULT_SIZE = 10_000


def main(size):
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    tokens = sentences = 0
    kept = []
    for document in pipeline.pipe(make_texts(size, words_per_text=100), batch_size=200):
        words = [token.lower_ for token in document if token.is_alpha]
        sentences += sum(1 for _ in document.sents)
        tokens += len(document)
        if len(kept) < 1000:
            kept.append(words)
    print(tokens, sentences, len(kept))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE)
