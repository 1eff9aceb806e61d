"""A handler is added with every request and never removed."""
import logging

from service import serve


def handle(request):
    logger = logging.getLogger("service")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())  # leak
    logger.debug("request %d", request)


serve(handle)
