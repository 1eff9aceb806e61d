"""Warnings go to a handler that keeps them until it is flushed, and nobody flushes it."""
import logging
import logging.handlers

from service import serve

logger = logging.getLogger("service")
logger.propagate = False
logger.addHandler(logging.handlers.MemoryHandler(10**9, flushLevel=logging.CRITICAL + 1))


def handle(request):
    if request % 2:
        logger.warning("request %d was slow for client %s", request, f"client-{request * 7}")  # leak


serve(handle)
