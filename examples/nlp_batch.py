#!/usr/bin/env python3
"""An NLP batch job: find the topics that the documentation of the installed Python packages is about.

    build/cli/heapline run --python /usr/bin/python3 examples/nlp_batch.py

The documents are real: the docstrings of every module, class and function of the standard library, numpy, scipy and
scikit-learn (some fourteen thousand texts). Three stages, as in most such jobs: read and parse, tokenise and weigh
(TF-IDF), factorise (NMF).

What the report shows
  - The high-water mark has little to do with the documents. The first matrix factorisation inside NMF (`lu`) makes the linear
    algebra library reserve a work buffer of 128 MiB for each of its threads; the one of the calling thread is credited to the
    Python line, the others to the library. With OPENBLAS_NUM_THREADS=1 the mark is lower by those; RSS, in which the
    buffers count only as far as they are touched, hardly moves. `heapline peak` and `heapline timeline`.
  - Most of the churn (allocated, freed soon after) is the syntax trees of `ast.parse`, and next the words of `tokenize`:
    gigabytes, of which some ten megabytes are ever live at once. `heapline lines --sort allocated`.
  - Parsing also leads the copies, each small; the rest comes from the vectorizer's growing arrays. `heapline copies`.
"""

import argparse
import ast
import importlib.util
import pathlib
import re
import sys
import time

from sklearn.decomposition import NMF
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

WORD = re.compile(r"[a-z][a-z_]{2,}")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PACKAGES = ("numpy", "scipy", "sklearn")
LEFT_OUT = {"test", "tests", "dist-packages", "site-packages", "idle_test"}
SHORTEST_DOCUMENT = 40


def source_files(limit):
    """The .py files of the standard library and of the packages above, tests left out, in a fixed order."""
    folders = [pathlib.Path(ast.__file__).parent]
    for package in PACKAGES:
        found = importlib.util.find_spec(package)
        if found is None:
            sys.exit(f"nlp_batch: the package {package} is not installed; packaging/install-deps example installs it")
        folders.append(pathlib.Path(found.origin).parent)
    files = []
    for folder in folders:
        files += sorted(file for file in folder.rglob("*.py") if LEFT_OUT.isdisjoint(file.relative_to(folder).parts))
    return files[:limit] if limit else files


def read_documents(files):
    """Every docstring of these files. A file's syntax tree dies before the next one is parsed."""
    documents = []
    for file in files:
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, DOCUMENTED):
                text = ast.get_docstring(node)
                if text and len(text) >= SHORTEST_DOCUMENT:
                    documents.append(text)
    return documents


def tokenize(text):
    """The words that carry meaning, and pairs of them."""
    words = [word for word in WORD.findall(text.lower()) if word not in ENGLISH_STOP_WORDS]
    return words + [f"{first} {second}" for first, second in zip(words, words[1:])]


def weigh(documents):
    """A sparse matrix of documents by terms, and the terms."""
    vectorizer = TfidfVectorizer(analyzer=tokenize, min_df=5, max_df=0.3, sublinear_tf=True)
    matrix = vectorizer.fit_transform(documents)
    return matrix, vectorizer.get_feature_names_out()


def factorise(matrix, topic_count):
    model = NMF(n_components=topic_count, init="nndsvd", max_iter=100, tol=1e-3, random_state=0)
    weights = model.fit_transform(matrix)
    return weights, model.components_


def print_topics(weights, components, terms, term_count=6):
    sizes = (weights.argmax(axis=1)[:, None] == range(len(components))).sum(axis=0)
    for topic in sizes.argsort()[::-1]:
        best = components[topic].argsort()[::-1][:term_count]
        print(f"{sizes[topic]:6} documents: " + ", ".join(terms[term] for term in best))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topics", type=int, default=12, help="how many topics to find (12)")
    parser.add_argument("--files", type=int, default=0, help="read only so many source files (0: all)")
    options = parser.parse_args()

    start = time.monotonic()
    files = source_files(options.files)
    documents = read_documents(files)
    print(f"{len(documents)} documents from {len(files)} files ({time.monotonic() - start:.1f} s)")
    matrix, terms = weigh(documents)
    print(f"{matrix.shape[1]} terms, {matrix.nnz} weights ({time.monotonic() - start:.1f} s)")
    weights, components = factorise(matrix, options.topics)
    print(f"{options.topics} topics ({time.monotonic() - start:.1f} s)")
    print_topics(weights, components, terms)


if __name__ == "__main__":
    main()
