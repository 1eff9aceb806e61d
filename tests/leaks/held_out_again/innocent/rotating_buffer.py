"""A log in memory that begins anew when it is full; the one before is kept."""
import io

from service import serve

log, before = io.BytesIO(), None


def handle(request):
    global log, before
    log.write(b"%08d " % request * 450)
    if log.tell() > 200_000:
        log, before = io.BytesIO(), log


serve(handle)
