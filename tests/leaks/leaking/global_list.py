"""Every request is remembered in a list that nobody reads."""
from service import serve

history = []


def handle(request):
    history.append({"request": request, "body": f"body of request {request}" * 20})  # leak


serve(handle)
