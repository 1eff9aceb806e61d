/* See rotation.h. */
#include "rotation.h"

#include <stdlib.h>
#include <string.h>

#include "message.h"

#define MAX_DIGITS 9
#define MAX_MS (1ull << 43) /* centuries; in ns it fits 64 bits */

/* M are mebibytes, min minutes: m could be either. */
static const struct {
    const char *word;
    uint64_t bytes, ms;
} units[] = {{"", 1, 0},  {"K", 1 << 10, 0}, {"k", 1 << 10, 0}, {"M", 1 << 20, 0},  {"G", 1 << 30, 0},   {"g", 1 << 30, 0},
             {"ms", 0, 1}, {"s", 0, 1000},   {"min", 0, 60000}, {"h", 0, 3600000}, {"d", 0, 86400000}};

struct rotation rotation_parse(const char *command, const char *text, uint64_t max_trace_bytes)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t number = digits <= MAX_DIGITS ? strtoull(text, NULL, 10) : 0;
    struct rotation rotation = {0, 0};
    for (size_t i = 0; i < sizeof units / sizeof *units && digits > 0; i++)
        if (strcmp(text + digits, units[i].word) == 0)
            rotation = (struct rotation){number * units[i].bytes, number * units[i].ms};
    if ((!rotation.segment_bytes && !rotation.segment_ms) || rotation.segment_ms > MAX_MS)
        fail_usage(command, "%s: --rotate takes a size (64M, 1G) or a time (30s, 10min, 1h, 1d), not '%s'", command, text);
    if (max_trace_bytes == 0)
        fail_usage(command, "%s: --rotate makes room within a bound: --max-trace-size 0 takes it away", command);
    return rotation;
}
