"""Three batches and a half: the run ends in the midst of one."""
from service import serve

batch = []


def handle(request):
    if request % 115 == 0:
        batch.clear()
    batch.append({"request": request, "rows": [f"row {i} of {request}" for i in range(20)]})


serve(handle)
