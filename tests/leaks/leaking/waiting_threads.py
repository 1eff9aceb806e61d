"""Threads that wait for an answer that never comes."""
import threading

from service import serve

never = threading.Event()


def wait_for_answer(request):
    answer = bytearray(4096)  # leak
    never.wait()
    return answer


def handle(request):
    if request % 4 == 0:
        threading.Thread(target=wait_for_answer, args=(request,), daemon=True).start()


serve(handle)
