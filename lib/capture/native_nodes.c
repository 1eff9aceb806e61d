/* See native_nodes.h. */
#include "native_nodes.h"

#include "cfi_cache.h"
#include "module_table.h"
#include "stack_table.h"

/* ---- segments ---- */

uint32_t native_segments_loops(const struct native_frame *frames, int32_t count)
{
    uint32_t loops = 0;
    while (count-- > 0)
        loops += frames[count].detail.row.module == CFI_MODULE_LOOP;
    return loops;
}

uint32_t native_segments_unknown(const struct python_segments *segments)
{
    uint32_t count = 0;
    while (count < segments->count && segments->list[count].address == UINT64_MAX)
        count++;
    return count;
}

int native_segments_begin_greenlet(const struct native_unwinder *unwinder, int32_t fresh_count)
{
    const struct python_segments *segments = unwinder->segments;
    if (python_segments_are_counted(segments))
        return native_segments_loops(unwinder->fresh, fresh_count) >= segments->count;
    uint32_t first = native_segments_unknown(segments);
    return first == segments->count || segments->list[first].address < unwinder->fresh[fresh_count - 1].spot.stack;
}

/* ---- nodes ---- */

uint32_t native_nodes_graft(const struct python_segments *segments, uint32_t first, uint32_t end, uint32_t parent, uint64_t hash)
{
    uint32_t node = parent;
    for (uint32_t i = first; i < end; i++) {
        uint32_t last = 0, at = segments->list[i].first, level_end = python_segment_end(segments, i);
        for (; at < level_end; at++) {
            /* Frames that are hidden have their caller's node. */
            uint32_t frame = segments->nodes[at];
            int is_last = i + 1 == end && frame == segments->list[i].node;
            if (frame && frame != last && !(node = stack_table_graft(node, frame, is_last ? hash : 0)))
                return 0;
            last = frame;
        }
    }
    return node;
}

uint32_t native_nodes_root(const struct python_segments *segments, uint32_t segment_end, int is_cut)
{
    int python_is_cut = segments->count && segments->nodes[-1];
    return native_nodes_graft(segments, 0, segment_end, python_is_cut || is_cut || segment_end ? stack_table_cut(stack_root) : stack_root, 0);
}

uint32_t native_nodes_frame(uint64_t address, const struct cfi_row *row, uint32_t parent, uint64_t hash)
{
    if (row->module == CFI_MODULE_OWN)
        return parent;
    uint32_t module = row->module >= CFI_MODULE_SPECIAL ? module_table_find(address - 1) : row->module;
    return stack_table_native(parent, module, address, hash);
}
