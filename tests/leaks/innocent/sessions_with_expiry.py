"""Sessions live for a third of the run, then they expire: the table fills, and stays as large as it is."""
import collections

from service import serve

sessions = collections.OrderedDict()


def handle(request):
    sessions[request] = {"user": f"user-{request}", "history": [request] * 150}
    while next(iter(sessions)) < request - 130:
        sessions.popitem(last=False)


serve(handle)
