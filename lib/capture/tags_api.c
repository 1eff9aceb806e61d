/* What a program that knows of us may call: include/heapline/heapline.h looks for `heapline_recorder`, the Python package too.
 * Any thread of the target, outside of our hooks; never allocates; keeps errno. */
#include <stddef.h>
#include <string.h>

#include "compiler.h"
#include "control_request.h"
#include "heapline/heapline.h"
#include "recorder.h"
#include "stack_table.h"
#include "tags.h"
#include "tags_python.h"

static uint32_t find_tag(uint32_t outer, const char *name, size_t name_bytes)
{
    return tags_find(outer, name, name_bytes < UINT32_MAX ? (uint32_t)name_bytes : UINT32_MAX);
}

static uint32_t get_tag(void)
{
    return stack_root;
}

static int is_recording(void)
{
    return recorder_session && *recorder_mark && !recorder_is_paused() &&
           atomic_load_explicit(&recorder_session->collector_state, memory_order_relaxed) != COLLECTOR_GONE;
}

static int set_recording(int wanted)
{
    return control_request(wanted ? CONTROL_START : CONTROL_STOP);
}

EXPORT const struct heapline_recorder heapline_recorder = {
    .version = HEAPLINE_RECORDER_VERSION,
    .bytes = sizeof heapline_recorder,
    .find_tag = find_tag,
    .set_tag = tags_set,
    .get_tag = get_tag,
    .is_recording = is_recording,
    .python_functions = tags_python_functions,
    .set_recording = set_recording,
};
