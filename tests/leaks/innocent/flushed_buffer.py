"""Records are gathered and written out, every eighty requests."""
import io

from service import serve

buffer, out = [], io.BytesIO()


def handle(request):
    buffer.append(f"record {request};" * 100)
    if len(buffer) == 80:
        out.seek(0)
        out.write("".join(buffer).encode())
        buffer.clear()


serve(handle)
