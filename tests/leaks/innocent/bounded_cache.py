"""An LRU cache that is always full: each new entry pushes an old one out."""
import functools

from service import serve


@functools.lru_cache(maxsize=64)
def render(request):
    return f"page {request} " * 100


serve(render)
