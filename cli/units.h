/* Numbers as people read them, and sizes as people write them. No allocation: results are small structs by value, so that
 * units_bytes(n).text can stand among the arguments of printf. */
#ifndef HEAPLINE_CLI_UNITS_H
#define HEAPLINE_CLI_UNITS_H

#include <stdint.h>

struct unit_text {
    char text[48];
};

/* 3 significant digits and a binary unit: "512 B", "1.50 KiB", "23.4 MiB". Negative numbers keep their sign. */
struct unit_text units_bytes(int64_t bytes);
/* At most five characters, for narrow columns: "512", "1.5K", "23M". */
struct unit_text units_bytes_short(int64_t bytes);
/* "999", "1.23k", "45.6M". */
struct unit_text units_count(int64_t count);
/* "no blocks", "1 block", "1.23k blocks": `noun` in its singular, plural with s or, after y, ies. */
struct unit_text units_noun(int64_t count, const char *noun);
/* "850 ns", "1.23 s", "2 min 5 s", "3 h 12 min". */
struct unit_text units_time(int64_t time_ns);
/* Share of a whole: "51 %", "3.2 %", "<0.1 %". */
struct unit_text units_share(double part, double whole);

/* "500M", "1.5GiB", "64k", "1000": K, M, G, T are powers of 1024 (also KiB …), KB, MB … powers of 1000.
 * Returns 0, or -1 for anything else or what doesn't fit 63 bits; *ret_bytes is then untouched. */
int units_parse_bytes(const char *text, uint64_t *ret_bytes);
/* A plain decimal number, 0 to 2^63 - 1. Returns 0 or -1. */
int units_parse_count(const char *text, int64_t *ret_count);

#endif
