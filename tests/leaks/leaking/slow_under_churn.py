"""One object of 2 KB in sixty operations, each of which churns through a hundred kilobytes."""
from service import churn, serve

failed = []


def handle(request):
    for step in range(12):
        churn(request)
        if (request * 12 + step) % 60 == 0:
            failed.append(bytes(2048))  # leak


serve(handle, requests=240, pause_seconds=0.001)
