"""Exceptions are kept for a report; each holds the frames it passed, and these their variables."""
from service import serve

errors = []


def parse(request):
    document = f"<request {request}>" * 100  # leak
    if request % 4 == 0:
        raise ValueError(document[:20])
    return len(document)


def handle(request):
    try:
        parse(request)
    except ValueError as error:
        errors.append(error)


serve(handle)
