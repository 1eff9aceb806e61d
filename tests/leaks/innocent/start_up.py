"""A program that is hardly more than its start: module by module it holds more, from the first window to the last."""
import asyncio
import concurrent.futures
import decimal
import difflib
import doctest
import email.mime.text
import fractions
import ftplib
import http.server
import imaplib
import logging.config
import mailbox
import multiprocessing.pool
import optparse
import pdb
import pydoc
import smtplib
import sqlite3
import statistics
import tarfile
import unittest.mock
import wsgiref.simple_server
import xml.dom.minidom
import xmlrpc.server
import zipfile

print([module.__name__ for module in (
    asyncio, concurrent.futures, decimal, difflib, doctest, email.mime.text, fractions, ftplib, http.server, imaplib, logging.config, mailbox,
    multiprocessing.pool, optparse, pdb, pydoc, smtplib, sqlite3, statistics, tarfile, unittest.mock, wsgiref.simple_server, xml.dom.minidom,
    xmlrpc.server, zipfile)])
