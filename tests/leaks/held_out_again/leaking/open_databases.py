"""A database in memory for every fourth request, which nobody closes: its memory is a C library's."""
import sqlite3

from service import serve

databases = []


def handle(request):
    if request % 4 == 0:
        databases.append(sqlite3.connect(":memory:"))  # leak


serve(handle)
