/* See cost.h. */
#include "cost.h"

#include <string.h>

const struct cost costs[COST_COUNT] = {
    {"peak", PEAK_BYTES, PEAK_ALLOCATIONS, "live at the peak"},
    {"live", LIVE_BYTES, LIVE_ALLOCATIONS, "live at the end"},
    {"allocated", ALLOCATED_BYTES, ALLOCATIONS, "allocated"},
    {"temporary", TEMPORARY_ALLOCATIONS, ALLOCATIONS, "temporary allocations"},
    {"copied", COPIED_BYTES, COPIES, "copied"},
};

const struct cost *cost_parse(const char *command, const char *name)
{
    for (int i = 0; i < COST_COUNT; i++)
        if (!strcmp(name ? name : "peak", costs[i].name))
            return &costs[i];
    fail_usage(command, "%s: --cost is peak, live, allocated, temporary or copied, not '%s'", command, name);
}
