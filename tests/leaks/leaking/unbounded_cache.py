"""A cache without a bound, asked with keys that never come again."""
import functools

from service import serve


@functools.lru_cache(maxsize=None)
def render(request):
    return f"page {request} " * 40  # leak


def handle(request):
    render(request)
    render(request)


serve(handle)
