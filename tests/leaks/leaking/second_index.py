"""Items live in two tables and are taken out of one."""
from service import serve

by_id, by_name = {}, {}


def handle(request):
    item = {"id": request, "tags": [f"tag-{request}-{i}" for i in range(20)]}  # leak
    by_id[request] = item
    by_name[f"item-{request}"] = item
    if request >= 10:
        del by_id[request - 10]


serve(handle)
