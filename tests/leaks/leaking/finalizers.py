"""A callback for the end of the process is registered with every request."""
import atexit

from service import serve


def handle(request):
    path = f"/tmp/upload-{request}" * 30  # leak
    atexit.register(len, path)


serve(handle)
