"""TF-IDF and a truncated SVD over short texts: a Python analyzer that makes millions of strings, then sparse linear algebra."""

import sys

from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from texts import make_texts

DEFAULT_SIZE = 18_000


def analyze(text):
    words = text.lower().replace(".", "").split()
    return words + [first + " " + second for first, second in zip(words, words[1:])]


def main(size):
    texts = make_texts(size, words_per_text=80)
    matrix = TfidfVectorizer(analyzer=analyze, min_df=3).fit_transform(texts)
    reduced = TruncatedSVD(n_components=20, n_iter=3, random_state=0).fit_transform(matrix)
    print(matrix.shape, matrix.nnz, reduced.shape)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE)
