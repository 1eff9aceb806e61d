/* The total order, under random interleavings: a model of threads that share an allocator, hand blocks to one another, stop at any point
 * between reading the order word and publishing, and whose clocks disagree by as much as one event takes; a collector that drains at any
 * moment.
 * Whatever happens, each allocation and deallocation must find its partner. Where nobody stops and clocks agree, the order must be the
 * true one, event by event. */
#include "event_words.h"
#include "stream_fixture.h"

#define MAX_ACTORS 6
#define ADDRESSES 48
#define STEPS 4000
#define RING_WORDS 65536
/* From one event to the next, at least. */
#define EVENT_TICKS 12

enum address_state { ADDRESS_FREE, ADDRESS_TAKEN, ADDRESS_LIVE };

struct model_address {
    enum address_state state;
    uint64_t size;
};

/* A thread, and the event it has begun and not yet published. */
struct actor {
    struct player player;
    int in_flight;
    uint64_t publish_at;
    uint32_t address;
    enum address_state becomes;   /* of the address, when the event is published */
    int reallocating;             /* the next event is a REALLOC_END */
    uint32_t old_address;
    uint64_t old_size;
    uint64_t last_stamp;
};

struct model {
    uint64_t seed, now;
    uint32_t actor_count, max_delay, jitter;
    struct actor actors[MAX_ACTORS];
    struct model_address addresses[ADDRESSES];
    uint64_t allocations, allocated_bytes, frees, copies, copied_bytes;
    char *order, *order_end;      /* the events in the order they really happened in */
};

static struct stream_fixture fixture;

static uint64_t address_of(uint32_t index)
{
    return 0x7f0000000000ull + index * 40; /* granules are shared */
}

static uint32_t roll(struct model *model, uint32_t sides)
{
    return (uint32_t)(check_random(&model->seed) >> 16) % sides;
}

static int pick_address(struct model *model, enum address_state state)
{
    for (uint32_t try = 0; try < 8; try++) {
        uint32_t index = roll(model, ADDRESSES);
        if (model->addresses[index].state == state)
            return (int)index;
    }
    return -1;
}

static void begin_event(struct model *model, struct actor *actor, uint32_t address, enum address_state becomes)
{
    actor->in_flight = 1;
    actor->address = address;
    actor->becomes = becomes;
    actor->publish_at = model->now + roll(model, model->max_delay + 1);
    model->addresses[address].state = ADDRESS_TAKEN;
    actor->player.order = 0; /* look at the order word anew, but keep on if it hasn't changed */
}

static uint64_t stamp(struct model *model, struct actor *actor)
{
    uint64_t ticks = model->now + roll(model, 2 * model->jitter + 1) - model->jitter;
    if (ticks < actor->last_stamp)
        ticks = actor->last_stamp;
    return actor->last_stamp = ticks;
}

static void begin_allocation(struct model *model, struct actor *actor)
{
    int address = pick_address(model, ADDRESS_FREE);
    if (address < 0)
        return;
    uint64_t size = 1 + roll(model, 1000000);
    unsigned opcode = actor->reallocating ? EVENT_REALLOC_END : EVENT_ALLOCATE;
    model->addresses[address].size = size;
    begin_event(model, actor, (uint32_t)address, ADDRESS_LIVE);
    player_allocate(&actor->player, opcode, address_of((uint32_t)address), size, 0, stamp(model, actor));
    model->allocations++;
    model->allocated_bytes += size;
    model->order_end += sprintf(model->order_end, "a%" PRIu64 " ", size);
    if (actor->reallocating && (uint32_t)address != actor->old_address) {
        uint64_t bytes = size < actor->old_size ? size : actor->old_size;
        model->copies++;
        model->copied_bytes += bytes;
        model->order_end += sprintf(model->order_end, "c%" PRIu64 " ", bytes);
    }
    actor->reallocating = 0;
}

static void begin_deallocation(struct model *model, struct actor *actor)
{
    int address = pick_address(model, ADDRESS_LIVE);
    if (address < 0)
        return;
    actor->reallocating = roll(model, 4) == 0;
    actor->old_address = (uint32_t)address;
    actor->old_size = model->addresses[address].size;
    begin_event(model, actor, (uint32_t)address, ADDRESS_FREE);
    player_free(&actor->player, actor->reallocating ? EVENT_REALLOC_BEGIN : EVENT_FREE, address_of((uint32_t)address), stamp(model, actor));
    model->frees++;
    model->order_end += sprintf(model->order_end, "f%" PRIu64 " ", actor->old_size);
}

static void publish(struct model *model, struct actor *actor)
{
    player_publish(&actor->player);
    model->addresses[actor->address].state = actor->becomes;
    actor->in_flight = 0;
}

static void act(struct model *model, struct actor *actor)
{
    uint64_t order = atomic_load(&fixture.session->order);
    if (actor->in_flight) {
        if (model->now >= actor->publish_at)
            publish(model, actor);
        return;
    }
    if (actor->player.order != order)
        player_claim(&actor->player, roll(model, 3) == 0);
    uint64_t claimed = actor->player.order;
    if (actor->reallocating || roll(model, 2))
        begin_allocation(model, actor);
    else
        begin_deallocation(model, actor);
    actor->player.order = claimed;
    if (actor->in_flight && model->max_delay == 0)
        publish(model, actor);
}

/* What collector.c does between two sleeps. */
static void drain(struct model *model)
{
    _Atomic uint64_t *order_word = &fixture.session->order;
    uint64_t order = atomic_load(order_word);
    uint32_t owner = ORDER_OWNER(order);
    if (owner != 0 && (owner != ORDER_PARALLEL || roll(model, 8) == 0)) {
        order = ORDER_WORD(ORDER_EPOCH(order) + 1, 0);
        atomic_store(order_word, order);
    }
    int parallel = ORDER_OWNER(order) == ORDER_PARALLEL;
    stream_fixture_take(&fixture, ORDER_EPOCH(order), parallel ? model->now - FIXTURE_SWAP_TICKS : ~0ull);
}

static char *heap_events(const struct trace_listing *listing)
{
    char *text = calloc(1, 32 * listing->event_count + 1), *to = text;
    uint64_t *sizes = calloc(listing->event_count + 1, sizeof *sizes);
    for (size_t i = 0; i < listing->event_count; i++) {
        const struct trace_event *event = &listing->events[i];
        if (event->kind == TRACE_ALLOCATE) {
            sizes[event->slot] = event->size_bytes;
            to += sprintf(to, "a%" PRIu64 " ", event->size_bytes);
        } else if (event->kind == TRACE_FREE) {
            to += sprintf(to, "f%" PRIu64 " ", sizes[event->slot]);
        } else if (event->kind == TRACE_COPY) {
            to += sprintf(to, "c%" PRIu64 " ", event->size_bytes);
        }
    }
    free(sizes);
    return text;
}

static void check_live_set(const struct model *model)
{
    const struct live_slots *slots = trace_writer_slots(fixture.writer);
    uint32_t live = 0;
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        uint32_t slot = address_table_find(&fixture.blocks.addresses, address_of(i));
        if (model->addresses[i].state != ADDRESS_LIVE) {
            CHECK_EQUAL(slot, SLOT_NONE);
            continue;
        }
        CHECK(slot != SLOT_NONE);
        CHECK_EQUAL(live_slots_size(slots, slot), model->addresses[i].size);
        live++;
    }
    CHECK_EQUAL(slots->live_count, live);
}

static void check_run(uint64_t seed, uint32_t actor_count, uint32_t max_delay, uint32_t jitter)
{
    struct model *model = calloc(1, sizeof *model);
    *model = (struct model){.seed = seed, .now = FIXTURE_START_TICKS, .actor_count = actor_count, .max_delay = max_delay, .jitter = jitter};
    model->order = model->order_end = calloc(STEPS, 32);
    stream_fixture_init(&fixture);
    for (uint32_t i = 0; i < actor_count; i++)
        player_init(&model->actors[i].player, fixture.session, i * RING_WORDS, RING_WORDS);
    for (uint32_t step = 0; step < STEPS; step++) {
        model->now += EVENT_TICKS + roll(model, 20);
        act(model, &model->actors[roll(model, actor_count)]);
        if (roll(model, 30) == 0)
            drain(model);
    }
    for (uint32_t i = 0; i < actor_count; i++) {
        struct actor *actor = &model->actors[i];
        if (actor->in_flight)
            publish(model, actor);
    }
    stream_fixture_take(&fixture, ~0ull, ~0ull);
    check_live_set(model);
    struct trace_listing *listing = stream_fixture_end(&fixture);
    CHECK_EQUAL(listing->totals.unknown_frees, 0);
    CHECK_EQUAL(listing->totals.allocations, model->allocations);
    CHECK_EQUAL(listing->totals.allocated_bytes, model->allocated_bytes);
    CHECK_EQUAL(listing->totals.copies, model->copies);
    CHECK_EQUAL(listing->totals.copied_bytes, model->copied_bytes);
    CHECK_EQUAL(listing->totals.event_count, model->allocations + model->frees + model->copies);
    if (max_delay == 0 && jitter == 0) {
        char *text = heap_events(listing);
        size_t same = 0;
        while (text[same] && text[same] == model->order[same])
            same++;
        CHECK_EQUAL(same, strlen(model->order)); /* where they differ */
        free(text);
    }
    trace_listing_free(listing);
    free(model->order);
    free(model);
}

int main(void)
{
    for (uint64_t seed = 1; seed <= 15; seed++) {
        uint32_t actors = 2 + (uint32_t)(seed % (MAX_ACTORS - 1));
        check_run(seed, actors, 0, 0);
        check_run(seed + 1000, actors, 0, EVENT_TICKS - 1);
        check_run(seed + 2000, actors, 400, 0);
        check_run(seed + 3000, actors, 2000, EVENT_TICKS - 1);
    }
    return 0;
}
