"""Sessions are begun, looked up and sometimes ended; those whose users don't log out stay."""
from service import serve

sessions = {}


class Session:
    def __init__(self, user):
        self.user = f"user-{user}"
        self.history = [user] * 150  # leak


def handle(request):
    sessions[request] = Session(request)
    if request % 3:
        del sessions[request]


serve(handle)
