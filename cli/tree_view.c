/* Chooses the nodes of a call tree that are shown, and writes them as JSON: see tree_view.h. */
#include "tree_view.h"

#include <stdlib.h>
#include <string.h>

#include "count_interval.h"
#include "memory.h"

/* ---- a heap: the largest node on top; of equal ones the latest, so that straight lines are followed to their ends ---- */

struct queue {
    uint32_t *nodes;
    size_t count, capacity;
};

static int is_before(const struct call_tree *tree, uint32_t a, uint32_t b)
{
    return tree->nodes[a].amount != tree->nodes[b].amount ? tree->nodes[a].amount > tree->nodes[b].amount : a > b;
}

static void push(struct queue *queue, const struct call_tree *tree, uint32_t node)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? 2 * queue->capacity : 256;
        queue->nodes = memory_resize(queue->nodes, queue->capacity, sizeof *queue->nodes);
    }
    size_t at = queue->count++;
    for (; at && is_before(tree, node, queue->nodes[(at - 1) / 2]); at = (at - 1) / 2)
        queue->nodes[at] = queue->nodes[(at - 1) / 2];
    queue->nodes[at] = node;
}

static uint32_t pop(struct queue *queue, const struct call_tree *tree)
{
    uint32_t top = queue->nodes[0], last = queue->nodes[--queue->count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < queue->count) {
        if (child + 1 < queue->count && is_before(tree, queue->nodes[child + 1], queue->nodes[child]))
            child++;
        if (!is_before(tree, queue->nodes[child], last))
            break;
        queue->nodes[at] = queue->nodes[child];
        at = child;
    }
    queue->nodes[at] = last;
    return top;
}

/* ---- which ---- */

static int is_large(const struct tree_view *view, int64_t amount)
{
    return amount > 0 && (double)amount >= view->threshold * (double)view->tree->total_amount;
}

static void expand(struct tree_view *view, struct queue *queue, uint32_t node)
{
    call_tree_expand(view->tree, node);
    if (view->tree->node_count > view->shown_count) {
        uint32_t count = 2 * view->tree->node_count;
        view->shown = memory_resize(view->shown, count, 1);
        memset(view->shown + view->shown_count, 0, count - view->shown_count);
        view->shown_count = count;
    }
    for (uint32_t child = view->tree->nodes[node].first_child; child; child = view->tree->nodes[child].next_sibling) {
        if (is_large(view, view->tree->nodes[child].amount))
            push(queue, view->tree, child);
        else
            view->left_out += view->tree->nodes[child].amount > 0;
    }
}

static int goes_straight_on(const struct tree_view *view, uint32_t node)
{
    const struct tree_node *nodes = view->tree->nodes;
    uint32_t parent = nodes[node].parent;
    return parent && nodes[parent].amount == nodes[node].amount;
}

void tree_view_select(struct tree_view *view)
{
    struct queue queue = {0};
    int64_t count = 0;
    expand(view, &queue, 0);
    while (queue.count) {
        uint32_t node = pop(&queue, view->tree);
        if (view->limit && count >= view->limit && !goes_straight_on(view, node)) {
            view->left_out += (int64_t)queue.count + 1;
            break;
        }
        count += !goes_straight_on(view, node);
        expand(view, &queue, node);
        view->shown[node] = 1;
    }
    free(queue.nodes);
}

void tree_view_free(struct tree_view *view)
{
    free(view->shown);
    view->shown = NULL;
}

/* The largest come first: behind one that isn't shown there may be others of its size that are. */
static uint32_t next_shown(const struct tree_view *view, uint32_t node)
{
    while (node && !view->shown[node])
        node = view->tree->nodes[node].next_sibling;
    return node;
}

uint32_t tree_view_child(const struct tree_view *view, uint32_t node)
{
    return next_shown(view, view->tree->nodes[node].first_child);
}

uint32_t tree_view_sibling(const struct tree_view *view, uint32_t node)
{
    return next_shown(view, view->tree->nodes[node].next_sibling);
}

/* ---- JSON ---- */

static void write_frame(const struct tree_view *view, struct json *json, const struct tree_node *node)
{
    const struct set_frame *frame = &view->tree->set.frames[node->frame];
    int is_imports = node->key == view->tree->keys[0];
    enum set_key by = view->query->by;
    json_text(json, "kind", frame->kind);
    json_text(json, "function", is_imports ? "(imports)" : by == SET_BY_MODULE && (frame->module || frame->file) ? NULL : frame->function);
    json_text(json, "file", is_imports || (by == SET_BY_MODULE && frame->module) ? NULL : frame->file);
    json_line(json, "line", by == SET_BY_LINE && !is_imports ? frame->line : 0);
    json_text(json, "module", is_imports ? NULL : frame->module);
}

int tree_view_count_interval(const struct tree_view *view, int64_t count, const struct tree_error *error, struct estimate_interval *ret_interval)
{
    *ret_interval = estimate_of_count(count, error->variance, error->largest);
    return view->tree->knows_errors && count_interval_has(view->query->count) && ret_interval->low != ret_interval->high;
}

void tree_view_intervals_json(const struct tree_view *view, int64_t amount, int64_t count, const struct tree_error *error, struct json *json)
{
    const struct tree_query *query = view->query;
    if (!view->tree->sampling_interval_bytes)
        return;
    json_object(json, ESTIMATE_KEY);
    if (measures[query->amount].is_bytes)
        estimate_json(json, measures[query->amount].name, estimate_of_bytes(amount, count, view->tree->sampling_interval_bytes));
    if (view->tree->knows_errors && count_interval_has(query->count))
        estimate_json(json, measures[query->count].name, estimate_of_count(count, error->variance, error->largest));
    json_object_end(json);
}

static void write_node(const struct tree_view *view, struct json *json, uint32_t number, int64_t id, int64_t parent_id, int64_t depth)
{
    const struct tree_node *node = &view->tree->nodes[number];
    json_object(json, NULL);
    json_integer(json, "id", id);
    if (parent_id)
        json_integer(json, "parent_id", parent_id);
    else
        json_null(json, "parent_id");
    json_integer(json, "depth", depth);
    write_frame(view, json, node);
    json_integer(json, measures[view->query->amount].name, node->amount);
    json_integer(json, measures[view->query->count].name, node->count);
    if (!view->tree->bottom_up) {
        char name[64];
        snprintf(name, sizeof name, "self_%s", measures[view->query->amount].name);
        json_integer(json, name, node->self_amount);
    }
    tree_view_intervals_json(view, node->amount, node->count, &node->error, json);
    json_object_end(json);
}

/* Flat, with the parent's id: trees of deep recursion nest deeper than parsers of JSON go. */
void tree_view_json(const struct tree_view *view, struct json *json)
{
    int64_t *ids = memory_new(view->shown_count + 1, sizeof *ids), last_id = 0, depth = 1;
    json_array(json, "nodes");
    for (uint32_t node = tree_view_child(view, 0); node;) {
        ids[node] = ++last_id;
        write_node(view, json, node, last_id, ids[view->tree->nodes[node].parent], depth);
        uint32_t next = tree_view_child(view, node);
        depth += next != 0;
        while (!next && node) {
            next = tree_view_sibling(view, node);
            node = view->tree->nodes[node].parent;
            depth -= !next;
        }
        node = next;
    }
    json_array_end(json);
    free(ids);
}
