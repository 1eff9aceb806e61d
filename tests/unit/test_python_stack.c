/* python_stack.c against a model: made-up frames are pushed, popped, moved on, recycled and swapped at random, code objects die and are
 * replaced at their addresses; each stack id must stand for exactly the frames of that moment. Pages without a live frame can't be read. */
#include <sys/mman.h>
#include <unistd.h>

#include "capture_fixture.h"
#include "check.h"
#include "code_table.h"
#include "python_objects.h"
#include "python_stack.h"
#include "python_walk.h"

#define PLACE_BYTES 128
#define PAGE_BYTES 4096 /* where they are larger, all can be read */
#define PAGE_PLACES (PAGE_BYTES / PLACE_BYTES)
#define FRAMES (128 * PAGE_PLACES)
#define CODES 40
#define STACKS 3
#define MAX_NODES 8000000

struct python_api python_api = {.code_type = python_objects_code_type};

struct model_frame {
    int place, code, instruction;
};

struct model_stack {
    struct model_frame frames[FRAMES];
    int depth;
};

static struct python_layout layout;
static char (*places)[PLACE_BYTES];
static int live_places[FRAMES / PAGE_PLACES]; /* of each page */
static char codes[CODES][512] __attribute__((aligned(16)));
static int32_t first_lines[CODES];
static int free_places[FRAMES], free_count;
static struct model_stack stacks[STACKS];
static char state[256], cframe[64];
static uint64_t seed;
static struct define_node *nodes;      /* by id */
static int32_t *first_line_of;         /* of the code with this id */
static uint32_t node_count;
static int32_t next_first_line = 1;

static int random_below(int bound)
{
    return (int)(check_random(&seed) % (uint64_t)bound);
}

static void make_code(int i)
{
    static void *name, *table;
    name = name ? name : python_objects_name(&layout, "function");
    table = table ? table : python_objects_bytes("", 0);
    first_lines[i] = next_first_line++;
    python_objects_code(&layout, codes[i], python_objects_name(&layout, "file"), name, table, first_lines[i]);
}

static void take_definitions(void)
{
    const struct definition *record;
    while ((record = capture_fixture_next())) {
        if (record->type == DEFINE_CODE) {
            const struct define_code *code = (const void *)(record + 1);
            first_line_of[code->code_id] = code->first_line;
        } else if (record->type == DEFINE_NODE) {
            memcpy(&nodes[++node_count], record + 1, sizeof *nodes);
            CHECK_EQUAL(nodes[node_count].node_id, node_count);
        }
    }
}

/* ---- the made-up interpreter ---- */

static void protect(int page, int protection)
{
    if (sysconf(_SC_PAGESIZE) == PAGE_BYTES)
        CHECK_EQUAL(mprotect(places[page * PAGE_PLACES], PAGE_BYTES, protection), 0);
}

static int take_place(int from)
{
    int place = free_places[from], page = place / PAGE_PLACES;
    free_places[from] = free_places[--free_count];
    if (live_places[page]++ == 0)
        protect(page, PROT_READ | PROT_WRITE);
    return place;
}

static void give_back(int place)
{
    int page = place / PAGE_PLACES;
    memset(places[place], 0xee, PLACE_BYTES); /* reading it again would lead nowhere */
    if (--live_places[page] == 0)
        protect(page, PROT_NONE);
    free_places[free_count++] = place;
}

static void give_all_back(void)
{
    for (free_count = 0; free_count < FRAMES; free_count++)
        free_places[free_count] = FRAMES - 1 - free_count;
    memset(live_places, 0, sizeof live_places);
    for (int page = 0; page < FRAMES / PAGE_PLACES; page++)
        protect(page, PROT_NONE);
}

static void write_frame(const struct model_stack *stack, int at)
{
    const struct model_frame *frame = &stack->frames[at];
    char *place = places[frame->place];
    python_objects_set(place, layout.frame_previous, at ? (uintptr_t)places[stack->frames[at - 1].place] : 0);
    python_objects_set(place, layout.frame_code, (uintptr_t)codes[frame->code] | (layout.version >= 0x030e ? 1 : 0));
    if (layout.code_units == PYTHON_NONE)
        python_objects_set_int(place, layout.frame_instruction, frame->instruction);
    else
        python_objects_set(place, layout.frame_instruction,
                           (uintptr_t)codes[frame->code] + (uint64_t)layout.code_units + 2 * (uint64_t)(int64_t)frame->instruction);
    if (layout.frame_owner != PYTHON_NONE)
        place[layout.frame_owner] = 0;
}

static void show_top(const struct model_stack *stack)
{
    uint64_t top = stack->depth ? (uintptr_t)places[stack->frames[stack->depth - 1].place] : 0;
    if (layout.cframe_frame == PYTHON_NONE) {
        python_objects_set(state, layout.state_frame, top);
    } else {
        python_objects_set(cframe, layout.cframe_frame, top);
        python_objects_set(state, layout.state_frame, (uintptr_t)cframe);
    }
}

static void push(struct model_stack *stack)
{
    if (!free_count)
        return;
    /* The last one given back, as an interpreter would; or any. */
    int place = take_place(random_below(4) ? free_count - 1 : random_below(free_count));
    stack->frames[stack->depth] = (struct model_frame){place, random_below(CODES), random_below(20) - 1};
    write_frame(stack, stack->depth++);
}

static void pop(struct model_stack *stack)
{
    if (!stack->depth)
        return;
    give_back(stack->frames[--stack->depth].place);
}

static void move_on(struct model_stack *stack, int at)
{
    if (at < 0)
        return;
    stack->frames[at].instruction = random_below(20);
    if (!random_below(20))
        stack->frames[at].code = random_below(CODES);
    write_frame(stack, at);
}

static int is_on_a_stack(int code)
{
    for (int s = 0; s < STACKS; s++)
        for (int i = 0; i < stacks[s].depth; i++)
            if (stacks[s].frames[i].code == code)
                return 1;
    return 0;
}

/* Another code object takes the place of a dead one, with the same instructions. */
static void replace_code(int i)
{
    python_objects_set(codes[i], 0, 0);
    if (code_table_death_begin((uintptr_t)codes[i]))
        code_table_death_end((uintptr_t)codes[i]);
    make_code(i);
}

/* The innermost function returns, its code dies, and what is called next has frame, code and instruction at the very same addresses. */
static void replace_top(struct model_stack *stack)
{
    if (!stack->depth)
        return;
    struct model_frame top = stack->frames[--stack->depth];
    if (!is_on_a_stack(top.code))
        replace_code(top.code);
    stack->frames[stack->depth] = top;
    write_frame(stack, stack->depth++);
}

static void change(struct model_stack *stack, int usual_depth)
{
    int what = random_below(100);
    if (what < 35)
        stack->depth < usual_depth || random_below(2) ? push(stack) : pop(stack);
    else if (what < 60)
        pop(stack);
    else if (what < 90)
        move_on(stack, stack->depth - 1);
    else if (what < 92)
        move_on(stack, stack->depth ? random_below(stack->depth) : -1);
    else if (what < 93)
        for (int i = random_below(usual_depth); i > 0; i--)
            pop(stack);
    else if (what < 95)
        for (int i = random_below(usual_depth); i > 0; i--)
            push(stack);
    else if (what < 99)
        replace_top(stack);
}

/* ---- the comparison ---- */

static void check_stack(const struct model_stack *stack, uint32_t id)
{
    for (int i = stack->depth; i-- > 0; id = nodes[id].parent_id) {
        CHECK(id);
        CHECK_EQUAL(first_line_of[nodes[id].code_id], first_lines[stack->frames[i].code]);
        CHECK_EQUAL(nodes[id].instruction, stack->frames[i].instruction);
    }
    CHECK_EQUAL(id, 0);
}

/* As the hooks of CPython's objects do. */
static uint32_t find_whole(void)
{
    const struct walk_found *found = python_walk_quick(&layout, current_thread, state);
    uint32_t id = found ? found->node : python_walk_deep(&layout, current_thread, state);
    return id ? id : python_walk_find(&layout, current_thread, state);
}

static void capture_and_check(const struct model_stack *stack, int whole)
{
    show_top(stack);
    uint32_t id = whole ? find_whole() : python_stack_capture(current_thread, state);
    take_definitions();
    check_stack(stack, id);
}

static void begin(unsigned index)
{
    layout = python_layouts[index];
    memset(stacks, 0, sizeof stacks);
    give_all_back();
    for (int i = 0; i < CODES; i++)
        replace_code(i);
    python_stack_start(&layout, index);
}

static void call(struct model_stack *stack, int place)
{
    stack->frames[stack->depth] = (struct model_frame){place, place % CODES, 1};
    write_frame(stack, stack->depth++);
}

/* The inner frames are called from elsewhere by now, and the page where their callers were is gone. */
static void check_gone_page(unsigned index, int inner_count)
{
    struct model_stack *stack = &stacks[0];
    begin(index);
    protect(0, PROT_READ | PROT_WRITE);
    protect(1, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 20; i++)
        call(stack, PAGE_PLACES + i);
    for (int i = 0; i < inner_count; i++)
        call(stack, i);
    capture_and_check(stack, 1);
    stack->depth = 0;
    call(stack, PAGE_PLACES / 2);
    for (int i = 0; i < inner_count; i++)
        call(stack, i);
    protect(1, PROT_NONE);
    capture_and_check(stack, 1);
}

/* Stacks with the same innermost frame have the same place among those found lately. */
static void show_alike(struct model_stack *stack, int outer)
{
    stack->depth = 0;
    call(stack, 1 + outer);
    call(stack, 0);
    show_top(stack);
}

static void check_found_beside(unsigned index)
{
    struct model_stack *stack = &stacks[0];
    begin(index);
    protect(0, PROT_READ | PROT_WRITE);
    for (int outer = 0; outer <= (int)WALK_BESIDE; outer++) {
        show_alike(stack, outer);
        capture_and_check(stack, 1);
    }
    for (int outer = 0; outer <= (int)WALK_BESIDE; outer++) {
        show_alike(stack, outer);
        const struct walk_found *found = python_walk_quick(&layout, current_thread, state);
        CHECK(found);
        check_stack(stack, found->node);
    }
}

static void run(unsigned index, int rounds, int usual_depth, int whole)
{
    struct model_stack *stack = &stacks[0];
    begin(index);
    for (int round = 0; round < rounds; round++) {
        if (!random_below(200))
            stack = &stacks[random_below(STACKS)];
        for (int i = random_below(3); i >= 0; i--)
            change(stack, usual_depth);
        capture_and_check(stack, whole);
    }
    CHECK_EQUAL(recorder_session->python_flags, 0);
    CHECK_EQUAL(recorder_session->unsafe_stacks, 0);
}

int main(void)
{
    seed = 5;
    nodes = calloc(MAX_NODES, sizeof *nodes);
    first_line_of = calloc(MAX_NODES, sizeof *first_line_of);
    capture_fixture_begin();
    places = mmap(NULL, FRAMES * PLACE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(places != MAP_FAILED);
    for (unsigned index = 0; index < PYTHON_LAYOUT_COUNT; index++)
        for (int whole = 0; whole < 2; whole++) {
            run(index, 20000, 30, whole);
            run(index, 10000, 8, whole);
            run(index, 3000, 100, whole);
        }
    for (unsigned index = 0; index < PYTHON_LAYOUT_COUNT; index++)
        for (int inner_count = 3; inner_count < 16; inner_count++)
            check_gone_page(index, inner_count);
    for (unsigned index = 0; index < PYTHON_LAYOUT_COUNT; index++)
        check_found_beside(index);
    for (int whole = 0; whole < 2; whole++) {
        run(0, 3000, 800, whole);
        run(6, 3000, 800, whole);
    }
    return 0;
}
