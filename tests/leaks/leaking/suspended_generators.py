"""Generators that are begun and never run to their end, each with a buffer."""
from service import serve

streams = []


def stream(request):
    chunk = bytes(1200) + bytes([request % 256])  # leak
    while True:
        yield chunk


def handle(request):
    reader = stream(request)
    next(reader)
    streams.append(reader)


serve(handle)
