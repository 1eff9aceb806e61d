"""The same by one line, as frameworks load what their settings name: all modules come by the same stack."""
import importlib

NAMES = ("asyncio concurrent.futures decimal difflib doctest email.mime.text fractions ftplib http.server imaplib logging.config mailbox "
         "multiprocessing.pool optparse pdb pydoc smtplib sqlite3 statistics tarfile unittest.mock xml.dom.minidom xmlrpc.server zipfile")

for name in NAMES.split():
    importlib.import_module(name)
