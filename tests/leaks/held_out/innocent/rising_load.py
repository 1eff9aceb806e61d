"""The load rises for a third of the run, then it stays; what is live follows it."""
from service import serve

live = []


def handle(request):
    wanted = min(request, 130) + request % 7
    while len(live) < wanted:
        live.append(bytearray(4000))
    while len(live) > wanted:
        live.pop()


serve(handle)
