"""What a service does all day: objects, strings, dicts and lists that come and go, and a cache that is full. Argument: how many allocations, about."""
import sys


class Request:
    def __init__(self, number):
        self.number = number
        self.path = f"/item/{number}"
        self.headers = {"accept": "text/html", "cookie": f"session={number * 7919}"}


def answer(request):
    rows = [(request.number + i, float(i)) for i in range(20)]
    return "".join(f"<td>{number}</td><td>{price}</td>" for number, price in rows)


def serve(allocations):
    cache = {}
    for number in range(allocations // 155):
        request = Request(number)
        cache[number % 5000] = (request, answer(request))


serve(int(sys.argv[1]))
