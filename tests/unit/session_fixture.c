#include "session_fixture.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "event_words.h"
#include "futex.h"

#define RINGS_WORD (SESSION_RINGS_OFFSET / 8)
/* As in the recorder: no event begins where it might not end. */
#define RESERVE_WORDS 12

struct session_header *session_new(int *ret_memfd, const char *output_path, uint32_t flags)
{
    int memfd = (int)syscall(SYS_memfd_create, "heapline-session", 1 /* MFD_CLOEXEC */);
    CHECK(memfd >= 0 && ftruncate(memfd, SESSION_TOTAL_BYTES) == 0);
    struct session_header *session = mmap(NULL, SESSION_TOTAL_BYTES + 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    CHECK(session != MAP_FAILED);
    session->magic = SESSION_MAGIC;
    session->version = SESSION_VERSION;
    session->flags = flags;
    session->total_bytes = SESSION_TOTAL_BYTES;
    session->session_id = 0x1234;
    session->pid = (uint32_t)getpid();
    session->parent_pid = (uint32_t)getppid();
    session->start_ticks = clock_ticks();
    session->start_monotonic_ns = clock_ns(CLOCK_MONOTONIC);
    session->start_realtime_ns = clock_ns(CLOCK_REALTIME);
    snprintf(session->output_path, sizeof session->output_path, "%s", output_path);
    FILE *arguments = fopen("/proc/self/cmdline", "r");
    session->arguments_bytes = arguments ? (uint32_t)fread(session->arguments, 1, sizeof session->arguments - 1, arguments) : 0;
    CHECK(session->arguments_bytes && readlink("/proc/self/exe", session->executable, sizeof session->executable - 1) > 0);
    fclose(arguments);
    atomic_store(&session->recording, 1);
    atomic_store(&session->order, ORDER_WORD(1, 0));
    *ret_memfd = memfd;
    return session;
}

void session_free(struct session_header *session, int memfd)
{
    munmap(session, SESSION_TOTAL_BYTES + 4096);
    close(memfd);
}

void player_init(struct player *player, struct session_header *session, uint64_t ring_offset, uint64_t ring_words)
{
    uint32_t slot = atomic_load(&session->thread_slots_used);
    struct session_thread *shared = &session_threads(session)[slot];
    *player = (struct player){session, shared, slot, RINGS_WORD + ring_offset, ring_words, RINGS_WORD + ring_offset, 0, 0};
    shared->first_ring = player->ring;
    shared->first_ring_words = ring_words;
    atomic_store(&shared->drained, player->ring);
    atomic_store(&shared->cursor, player->ring);
    atomic_store(&shared->thread_id, (uint32_t)syscall(SYS_gettid));
    atomic_store(&shared->generation, 1);
    atomic_store(&session->thread_slots_used, slot + 1);
}

void player_put(struct player *player, uint64_t word)
{
    session_words(player->session)[player->cursor++] = word;
}

void player_reserve(struct player *player, unsigned needed)
{
    if (player->ring + player->ring_words - player->cursor > needed)
        return;
    player_put(player, EVENT_WORD(EVENT_PAD, 0));
    player->cursor = player->ring;
}

void player_publish(struct player *player)
{
    atomic_store_explicit(&player->shared->cursor, player->cursor, memory_order_release);
}

void player_jump(struct player *player, uint64_t ring_offset, uint64_t ring_words)
{
    player_put(player, EVENT_WORD(EVENT_JUMP, RINGS_WORD + ring_offset));
    player_put(player, ring_words);
    player->ring = player->cursor = RINGS_WORD + ring_offset;
    player->ring_words = ring_words;
}

void player_run(struct player *player, uint64_t epoch, uint64_t ticks)
{
    player_reserve(player, RESERVE_WORDS);
    player_put(player, EVENT_WORD(EVENT_RUN, epoch));
    player_put(player, ticks);
}

void player_claim(struct player *player, int parallel)
{
    uint64_t order = atomic_load_explicit(&player->session->order, memory_order_acquire);
    /* A pause is the collector's to end: like the library, never claim over it. */
    while (order != player->order && ORDER_OWNER(order) != ORDER_PAUSED) {
        uint64_t wanted = ORDER_OWNER(order) == ORDER_PARALLEL
                              ? order
                              : ORDER_WORD(ORDER_EPOCH(order) + 1, parallel ? ORDER_PARALLEL : player->slot + 1);
        if (wanted != order && !atomic_compare_exchange_strong(&player->session->order, &order, wanted))
            continue;
        player->order = wanted;
        player->stamping = ORDER_OWNER(wanted) == ORDER_PARALLEL;
        player_run(player, ORDER_EPOCH(wanted), clock_ticks());
        return;
    }
}

static void begin_event(struct player *player, uint64_t ticks)
{
    player_reserve(player, RESERVE_WORDS);
    if (player->stamping)
        player_put(player, EVENT_WORD(EVENT_STAMP, ticks));
}

void player_allocate(struct player *player, unsigned opcode, uint64_t address, uint64_t size, uint32_t stack, uint64_t ticks)
{
    int big = size > 0xffffffff;
    begin_event(player, ticks);
    player_put(player, EVENT_WORD(opcode + (unsigned)big, address));
    player_put(player, EVENT_SIZE_STACK(big ? 0 : size, stack));
    if (big)
        player_put(player, size);
}

void player_free(struct player *player, unsigned opcode, uint64_t address, uint64_t ticks)
{
    begin_event(player, ticks);
    player_put(player, EVENT_WORD(opcode, address));
}

void player_map(struct player *player, uint64_t address, uint64_t length, uint32_t stack, unsigned flags, uint64_t ticks)
{
    begin_event(player, ticks);
    player_put(player, EVENT_WORD(EVENT_MAP, address));
    player_put(player, EVENT_SIZE_STACK(flags, stack));
    player_put(player, length);
}

void player_unmap(struct player *player, uint64_t address, uint64_t length, uint64_t ticks)
{
    begin_event(player, ticks);
    player_put(player, EVENT_WORD(EVENT_UNMAP, address));
    player_put(player, length);
}

int player_wait_for_room(struct player *player, uint64_t words)
{
    for (int round = 0; round < 500; round++) {
        uint32_t seen = atomic_load(&player->shared->space_futex);
        atomic_store(&player->shared->waiting, 1);
        uint64_t drained = atomic_load(&player->shared->drained);
        uint64_t used = (player->cursor - drained + player->ring_words) % player->ring_words;
        if (drained >= player->ring && drained < player->ring + player->ring_words && player->ring_words - used > words + RESERVE_WORDS) {
            atomic_store(&player->shared->waiting, 0);
            return 1;
        }
        atomic_fetch_add(&player->session->collector_wake, 1);
        futex_wake(&player->session->collector_wake, 1);
        futex_wait(&player->shared->space_futex, seen, 20000000);
    }
    return 0;
}

void session_define(struct session_header *session, enum definition_type type, const void *fixed, size_t fixed_bytes, const void *text,
                    size_t text_bytes)
{
    uint64_t head = atomic_load(&session->definition_head), left = SESSION_DEFINITION_BYTES - head % SESSION_DEFINITION_BYTES;
    struct definition record = {(uint32_t)(sizeof record + fixed_bytes + text_bytes), type};
    char *ring = (char *)session + SESSION_DEFINITIONS_OFFSET;
    if (left < record.bytes) {
        *(struct definition *)(ring + head % SESSION_DEFINITION_BYTES) = (struct definition){(uint32_t)left, DEFINE_PAD};
        head += left;
    }
    char *to = ring + head % SESSION_DEFINITION_BYTES;
    memcpy(to, &record, sizeof record);
    memcpy(to + sizeof record, fixed, fixed_bytes);
    if (text_bytes)
        memcpy(to + sizeof record + fixed_bytes, text, text_bytes);
    atomic_store(&session->definition_head, head + ((record.bytes + 7) & ~7u));
}

void session_define_node(struct session_header *session, uint32_t node_id, uint32_t parent_id, uint64_t address)
{
    struct define_node node = {.node_id = node_id, .parent_id = parent_id, .address = address};
    session_define(session, DEFINE_NODE, &node, sizeof node, NULL, 0);
}

/* ---- reading back ---- */

static void list_definition(struct trace_listing *listing, const struct trace_definition *definition)
{
    char *text = listing->text + strlen(listing->text);
    size_t left = sizeof listing->text - (size_t)(text - listing->text);
    switch ((enum trace_definition_kind)definition->kind) {
    case TRACE_DEFINE_CODE:
        snprintf(text, left, "code %u %.*s %.*s line %d table %.*s\n", definition->code.code_id, (int)definition->code.file_bytes,
                 definition->code.file, (int)definition->code.name_bytes, definition->code.name, definition->code.first_line,
                 (int)definition->code.line_table_bytes, (const char *)definition->code.line_table);
        break;
    case TRACE_DEFINE_NODE:
        snprintf(text, left, "node %u %u kind %u code %u at %d module %u address %" PRIx64 "\n", definition->node.stack_id,
                 definition->node.caller_id, definition->node.frame_kind, definition->node.code_id, definition->node.instruction,
                 definition->node.module_id, definition->node.address);
        break;
    case TRACE_DEFINE_MODULE:
        snprintf(text, left, "module %u %.*s bias %" PRIx64 "\n", definition->module.module_id, (int)definition->module.path_bytes,
                 definition->module.path, definition->module.load_bias);
        break;
    case TRACE_DEFINE_THREAD:
        snprintf(text, left, "thread %u %u %.*s\n", definition->thread.thread_id, definition->thread.kernel_id,
                 (int)definition->thread.name_bytes, definition->thread.name);
        if (definition->thread.thread_id > listing->thread_count)
            listing->thread_count = definition->thread.thread_id;
        break;
    case TRACE_DEFINE_PROPERTY:
        snprintf(text, left, "%.*s=%.*s\n", (int)definition->property.key_bytes, definition->property.key,
                 (int)definition->property.value_bytes, definition->property.value);
        break;
    }
}

struct trace_listing *trace_listing_read(const char *path)
{
    struct trace_listing *listing = calloc(1, sizeof *listing);
    struct trace_reader *reader;
    struct status_detail detail = {0};
    size_t capacity = 0;
    if (trace_reader_open(path, &reader, &detail) != 0)
        fprintf(stderr, "%s: %s\n", path, detail.message);
    CHECK_EQUAL(detail.status, 0);
    listing->overview = *trace_reader_overview(reader);
    int status;
    while ((status = trace_reader_next_block(reader, &detail)) == 0) {
        struct trace_definition definition;
        while ((status = trace_reader_next_definition(reader, &definition, &detail)) == 0)
            list_definition(listing, &definition);
        CHECK_EQUAL(status, STATUS_END);
        for (;;) {
            if (listing->event_count == capacity)
                listing->events = realloc(listing->events, (capacity = 2 * capacity + 1024) * sizeof *listing->events);
            status = trace_reader_next_event(reader, &listing->events[listing->event_count], &detail);
            if (status != 0)
                break;
            listing->event_count++;
        }
        if (status != STATUS_END)
            fprintf(stderr, "%s: %s\n", path, detail.message);
        CHECK_EQUAL(status, STATUS_END);
    }
    CHECK_EQUAL(status, STATUS_END);
    listing->totals = *trace_reader_totals(reader);
    const struct live_slots *slots = trace_reader_slots(reader);
    listing->live_count = slots->live_count;
    for (uint32_t i = 0; i < slots->used_count; i++)
        if (live_slot_is_live(&slots->slots[i]))
            listing->live_bytes += live_slots_size(slots, i);
    trace_reader_close(reader);
    return listing;
}

void trace_listing_free(struct trace_listing *listing)
{
    free(listing->events);
    free(listing);
}

char *trace_listing_text(const struct trace_listing *listing)
{
    char *text = calloc(1, 64 * listing->event_count + 1), *to = text;
    for (size_t i = 0; i < listing->event_count; i++) {
        const struct trace_event *event = &listing->events[i];
        switch ((enum trace_event_kind)event->kind) {
        case TRACE_ALLOCATE:
            to += sprintf(to, "a%u:%" PRIu64 "/%u,%x ", event->slot, event->size_bytes, event->stack_id, event->flags);
            break;
        case TRACE_FREE:
            to += sprintf(to, "f%u%s ", event->slot, event->flags & TRACE_REALLOC ? "r" : "");
            break;
        case TRACE_SHRINK:
            to += sprintf(to, "s%u:%" PRIu64 " ", event->slot, event->size_bytes);
            break;
        case TRACE_UNDO_FREE:
            to += sprintf(to, "u%u:%" PRIu64 "/%u,%x ", event->slot, event->size_bytes, event->stack_id, event->flags);
            break;
        case TRACE_COPY:
            to += sprintf(to, "c%" PRIu64 "/%u ", event->size_bytes, event->stack_id);
            break;
        case TRACE_THREAD:
            to += sprintf(to, "t%u ", event->thread_id);
            break;
        case TRACE_SAMPLING:
            to += sprintf(to, "~%" PRIu64 " ", event->size_bytes);
            break;
        case TRACE_UNKNOWN_FREES:
            to += sprintf(to, "?%" PRIu64 " ", event->count);
            break;
        default:
            break;
        }
    }
    if (to > text)
        to[-1] = 0;
    return text;
}
