"""What a range of time held, worked out from `heapline dump` alone: the list of events, one after the other. Exact traces."""

import subprocess

from viewer_commands import HEAPLINE

KINDS = ("allocate", "free", "shrink", "undo-free", "copy", "small-copies")


def events(trace, begin_ns):
    """(time_ns, kind, slot, bytes, flags) of each event, in order. begin_ns: when the first ones happened. Summaries give what was
    copied in small pieces before."""
    time = begin_ns
    with subprocess.Popen([HEAPLINE, "dump", trace], stdout=subprocess.PIPE, text=True) as dump:
        for line in dump.stdout:
            kind, *words = line.split()
            if kind == "time":
                time = int(words[0][8:])
            elif kind == "tally":
                fields = dict(word.split("=", 1) for word in words)
                yield time, "small-copies", None, int(fields["small_copied_bytes"]), ""
            elif kind in KINDS:
                fields = dict(word.split("=", 1) for word in words)
                yield time, kind, fields.get("slot"), int(fields.get("bytes", 0)), fields.get("flags", "")


class Listed:
    def __init__(self, trace, begin_ns=0):
        self.events = list(events(trace, begin_ns))

    def range(self, start, end, is_last):
        """Of the time from start to end (end itself is not in it, unless it is the trace's): bytes, as the page's measures."""
        live, small = {}, {"copied": 0, "at_start": 0}
        found = dict.fromkeys(("allocated", "copied", "peak", "live", "kept"), 0)
        level = {"outside": 0, "arenas": 0, "objects": 0}
        total = lambda: level["outside"] + max(level["arenas"], level["objects"])
        entered = False
        for time, kind, slot, size, flags in self.events:
            if time >= end and not is_last:
                break
            if time >= start and not entered:
                entered, found["peak"], small["at_start"] = True, total(), small["copied"]
            part = "outside" if not flags else "objects" if "in-arena" in flags else "arenas" if "arena" in flags else "outside"
            if kind == "small-copies":
                small["copied"] = size
            elif kind == "copy":
                found["copied"] += size * entered
            elif kind == "free":
                block = live.pop(slot, None)
                if block:
                    level[block["part"]] -= block["size"]
            elif kind == "shrink":
                live[slot]["size"] -= size
                level[live[slot]["part"]] -= size
            else:
                is_new = kind == "allocate" and part != "arenas" and "inherited" not in flags
                live[slot] = {"part": part, "size": size, "kept": entered and is_new}
                level[part] += size
                found["allocated"] += size * (entered and is_new)
            if entered:
                found["peak"] = max(found["peak"], total())
        found["peak"] = found["peak"] if entered else total()
        found["live"] = total()
        found["kept"] = sum(block["size"] for block in live.values() if block["kept"])
        found["copied"] += small["copied"] - small["at_start"]
        return found
