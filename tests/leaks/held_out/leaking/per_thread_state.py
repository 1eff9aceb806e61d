"""Short-lived threads leave their state in a table by thread id."""
import threading

from service import serve

state_of = {}


def work(request):
    state_of[threading.get_ident(), request] = bytearray(3000)  # leak


def handle(request):
    if request % 3 == 0:
        thread = threading.Thread(target=work, args=(request,))
        thread.start()
        thread.join()


serve(handle)
