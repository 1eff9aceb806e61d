"""Modules that are imported as requests need them, in the first third."""
import importlib

from service import serve

MODULES = ["decimal", "fractions", "statistics", "email.message", "http.client", "urllib.request", "xml.dom.minidom", "sqlite3",
           "unittest", "argparse", "csv", "configparser", "tarfile", "zipfile", "difflib", "pdb", "doctest", "asyncio", "ssl", "smtplib"]


def handle(request):
    if request % 6 == 0 and request // 6 < len(MODULES):
        importlib.import_module(MODULES[request // 6])


serve(handle)
