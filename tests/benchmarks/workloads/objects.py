"""Python objects of mixed sizes through a ring of live ones: about as many events as asked for. How cost grows with the length of a run."""

import sys

DEFAULT_SIZE = 1_000_000
LIVE = 4096  # fifteen events a turn: the numbers of the loop are objects, too


def make(number):
    if number % 8 == 0:
        return [number] * (number % 100)
    if number % 8 == 1:
        return str(number)
    return (number, number)


def main(size):
    live = [None] * LIVE
    place = 7
    for number in range(size // 15):
        place = (place * 1103515245 + 12345) % 2147483648
        live[place % LIVE] = make(number)
    print(sum(1 for kept in live if kept))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE)
