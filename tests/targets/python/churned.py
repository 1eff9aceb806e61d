"""Waits for a line on standard input, and allocates many blocks of varied sizes after each, of which some stay for a while."""

import os
import random

random = random.Random(3)
kept = [None] * 1000
round_ = 0
while True:
    os.write(1, b"%d %d\n" % (round_, os.getpid()))
    if not os.read(0, 1):
        break
    for number in range(100000):
        place, size = random.randrange(1000), 600 + random.randrange(1000)
        kept[place] = bytes(size)  # ALLOC blocks count=100000*rounds bytes=? live=? live_count=?
    round_ += 1
