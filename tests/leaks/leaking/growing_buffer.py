"""One buffer that only grows: the same object, moved again and again."""
from service import serve

log = bytearray()


def handle(request):
    log.extend(b"request %d was served\n" % request * 100)  # leak


serve(handle)
