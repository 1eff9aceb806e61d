"""Nothing leaks until a feature is switched on, after a third of the run."""
from service import serve

audit = []


def handle(request):
    if request > 140:
        audit.append("audit record %d;" % request * 50)  # leak


serve(handle)
