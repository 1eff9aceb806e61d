"""Clients come and go: what is live is a random walk around a mean."""
from service import random_numbers, serve

clients = []


def handle(request):
    for _ in range(random_numbers.randint(0, 6)):
        clients.append(bytearray(2000))
    while len(clients) > 60 or (clients and random_numbers.random() < 0.55):
        clients.pop(random_numbers.randrange(len(clients)))


serve(handle)
