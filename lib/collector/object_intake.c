/* See object_intake.h. */
#include "object_intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "futex.h"
#include "process_properties.h"

#define MS 1000000ull
#define DEFAULT_TIMEOUT_MS 5000
#define DEFAULT_PAUSE_MS 2000
#define LONGEST_MS 600000
#define SETTLE_NS 100000ull /* what was recorded before the safe point is among the events taken this long after it */
#define PIECE_BYTES (900u << 10)
#define MAX_WRITTEN_SUMS 100000u
#define SAMPLES_A_STACK 64u

/* ---- what is wanted ---- */

struct wishes {
    uint64_t timeout_ms, pause_ms;
    uint32_t paths;
    char type[SURVEY_TYPE_NAME_BYTES];
    const char *stacks; /* ids with commas between them; NULL: none */
};

static uint64_t bounded_number(const char *text, uint64_t most)
{
    uint64_t number = strtoull(text, NULL, 10);
    return number < most ? number : most;
}

static const char *value_of(const char *line, const char *key)
{
    size_t bytes = strlen(key);
    return !strncmp(line, key, bytes) && line[bytes] == '=' ? line + bytes + 1 : NULL;
}

static struct wishes read_wishes(const char *text)
{
    struct wishes wishes = {.timeout_ms = DEFAULT_TIMEOUT_MS, .pause_ms = DEFAULT_PAUSE_MS, .paths = 3};
    for (const char *line = text, *value; *line; line += line[strcspn(line, "\n")] ? strcspn(line, "\n") + 1 : strlen(line)) {
        if ((value = value_of(line, "timeout_ms")))
            wishes.timeout_ms = bounded_number(value, LONGEST_MS);
        else if ((value = value_of(line, "pause_ms")))
            wishes.pause_ms = bounded_number(value, LONGEST_MS);
        else if ((value = value_of(line, "paths")))
            wishes.paths = (uint32_t)bounded_number(value, SURVEY_MAX_TARGETS);
        else if ((value = value_of(line, "type")))
            snprintf(wishes.type, sizeof wishes.type, "%.*s", (int)strcspn(value, "\n"), value);
        else if ((value = value_of(line, "stacks")))
            wishes.stacks = value;
    }
    return wishes;
}

/* ---- whose paths ---- */

struct picked_stack {
    uint32_t stack_id;
    uint64_t met; /* of its blocks */
    uint32_t count;
};

struct picking {
    const struct live_slots *slots;
    struct picked_stack stacks[SURVEY_MAX_TARGETS];
    uint32_t stack_count;
    uint32_t samples; /* of each stack */
    struct intake_target *targets;
    uint64_t random;
};

static struct picked_stack *find_stack(struct picking *picking, uint32_t stack_id)
{
    uint32_t low = 0, high = picking->stack_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (picking->stacks[middle].stack_id < stack_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < picking->stack_count && picking->stacks[low].stack_id == stack_id ? &picking->stacks[low] : NULL;
}

/* A reservoir for each stack: Vitter, Random sampling with a reservoir, ACM TOMS 11 (1985), algorithm R. */
static void pick(void *context, uint64_t address, uint32_t slot)
{
    struct picking *picking = context;
    const struct live_slot *of = &picking->slots->slots[slot];
    struct picked_stack *stack = live_slot_is_live(of) && live_slot_flags(of) & TRACE_OBJECT ? find_stack(picking, of->stack_id) : NULL;
    if (!stack)
        return;
    picking->random = picking->random * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t place = stack->count < picking->samples ? stack->count++ : (picking->random >> 33) % (stack->met + 1);
    stack->met++;
    if (place < picking->samples)
        picking->targets[(uint32_t)(stack - picking->stacks) * picking->samples + place] =
            (struct intake_target){address, slot, of->sequence, of->stack_id};
}

static int compare_stacks(const void *a, const void *b)
{
    const struct picked_stack *left = a, *right = b;
    return left->stack_id < right->stack_id ? -1 : left->stack_id > right->stack_id;
}

static int compare_targets(const void *a, const void *b)
{
    const struct intake_target *left = a, *right = b;
    return left->address < right->address ? -1 : left->address > right->address;
}

static void read_stacks(struct picking *picking, const char *text)
{
    uint32_t count = 0;
    while (*text >= '0' && *text <= '9' && count < SURVEY_MAX_TARGETS) {
        char *end;
        picking->stacks[count++].stack_id = (uint32_t)strtoul(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    qsort(picking->stacks, count, sizeof *picking->stacks, compare_stacks);
    for (uint32_t i = 0; i < count; i++)
        if (!i || picking->stacks[i].stack_id != picking->stacks[picking->stack_count - 1].stack_id)
            picking->stacks[picking->stack_count++] = picking->stacks[i];
}

static void choose_targets(struct object_intake *intake, const struct live_blocks *blocks, const char *stacks)
{
    struct picking *picking = calloc(1, sizeof *picking);
    struct intake_target *targets = calloc(SURVEY_MAX_TARGETS, sizeof *targets);
    if (picking && targets) {
        *picking = (struct picking){.slots = trace_writer_slots(blocks->writer), .targets = targets, .random = blocks->swap_ticks};
        read_stacks(picking, stacks);
        uint32_t share = picking->stack_count ? SURVEY_MAX_TARGETS / picking->stack_count : 0;
        picking->samples = share < SAMPLES_A_STACK ? share : SAMPLES_A_STACK;
        if (share)
            address_table_each(&blocks->addresses, pick, picking);
        for (uint32_t i = 0; i < picking->stack_count * picking->samples; i++)
            if (targets[i].address)
                targets[intake->target_count++] = targets[i];
        qsort(targets, intake->target_count, sizeof *targets, compare_targets);
        intake->targets = targets;
        targets = NULL;
    }
    free(targets);
    free(picking);
}

/* ---- asking for it ---- */

static int refuse(struct object_intake *intake, const char *reason)
{
    intake->state = INTAKE_FAILED;
    snprintf(intake->reason, sizeof intake->reason, "%s", reason);
    return 0;
}

static void forget(struct object_intake *intake)
{
    object_sums_done(&intake->sums);
    free(intake->targets);
    intake->targets = NULL;
    intake->target_count = 0;
}

void object_intake_done(struct object_intake *intake)
{
    forget(intake);
}

int object_intake_begin(struct object_intake *intake, struct session_header *session, struct live_blocks *blocks, const char *text,
                        uint64_t now_ns)
{
    struct survey *survey = session_survey(session);
    uint32_t state = atomic_load(&session->survey_state);
    if (object_intake_is_at_work(intake)) {
        snprintf(intake->reason, sizeof intake->reason, "another survey of this process's objects is under way");
        return 0;
    }
    if (state != SURVEY_IDLE && state != SURVEY_WITHDRAWN)
        return refuse(intake, "the process has not yet come back from the survey before");
    if (!atomic_load(&session->recording))
        return refuse(intake, "nothing is being recorded: 'heapline start' first, as only blocks allocated from then on are known");
    struct wishes wishes = read_wishes(text);
    forget(intake);
    if (wishes.stacks)
        choose_targets(intake, blocks, wishes.stacks);
    survey->pause_limit_ns = wishes.pause_ms * MS;
    survey->paths_per_type = wishes.paths;
    survey->target_count = intake->target_count;
    for (uint32_t i = 0; i < intake->target_count; i++) {
        survey->targets[i] = intake->targets[i].address;
        survey->target_stacks[i] = intake->targets[i].stack_id;
    }
    snprintf(survey->type_name, sizeof survey->type_name, "%s", wishes.type);
    atomic_store(&survey->refusal, SURVEY_WHOLE);
    atomic_store(&survey->tail, atomic_load(&survey->head));
    intake->state = INTAKE_WAITING;
    intake->deadline_ns = now_ns + wishes.timeout_ms * MS;
    intake->reason[0] = '\0';
    atomic_store(&session->survey_state, SURVEY_WANTED);
    return 1;
}

void object_intake_withdraw(struct object_intake *intake, struct session_header *session, const char *reason)
{
    uint32_t wanted = SURVEY_WANTED, scheduled = SURVEY_SCHEDULED;
    if (!object_intake_is_at_work(intake))
        return;
    if (!atomic_compare_exchange_strong(&session->survey_state, &wanted, SURVEY_IDLE))
        atomic_compare_exchange_strong(&session->survey_state, &scheduled, SURVEY_WITHDRAWN);
    refuse(intake, reason);
    forget(intake);
}

/* ---- taking what is found ---- */

static void take_word(struct object_intake *intake, struct live_blocks *blocks, uint64_t word)
{
    const struct live_slots *slots = trace_writer_slots(blocks->writer);
    uint32_t slot = address_table_find(&blocks->addresses, SURVEY_BLOCK(word));
    if (slot == SLOT_NONE || live_slot_flags(&slots->slots[slot]) & TRACE_ARENA)
        return;
    if (SURVEY_KIND(word) == SURVEY_MAYBE)
        object_sums_add_maybe(&intake->sums, slot, SURVEY_TYPE_ID(word));
    else
        object_sums_add(&intake->sums, slots, slot, SURVEY_TYPE_ID(word), SURVEY_KIND(word) == SURVEY_OBJECT);
}

/* Returns how many words it has. */
static uint64_t take_text(struct object_intake *intake, const uint64_t *ring, uint64_t at, uint64_t word)
{
    static char text[SURVEY_MAX_TEXT_BYTES + 8];
    uint32_t bytes = SURVEY_TEXT_BYTES(word) < SURVEY_MAX_TEXT_BYTES ? SURVEY_TEXT_BYTES(word) : SURVEY_MAX_TEXT_BYTES;
    uint32_t words = (SURVEY_TEXT_BYTES(word) + 7) / 8;
    for (uint32_t i = 0; i < (bytes + 7) / 8; i++)
        memcpy(text + 8 * i, &ring[(at + 1 + i) % SURVEY_RING_WORDS], 8);
    if (SURVEY_TEXT_WHAT(word) == SURVEY_TYPE)
        object_sums_add_type(&intake->sums, SURVEY_TEXT_ID(word), text, bytes);
    else if (SURVEY_TEXT_WHAT(word) == SURVEY_PATH && SURVEY_TEXT_ID(word) < intake->target_count)
        object_sums_add_path(&intake->sums, SURVEY_TEXT_ID(word), text, bytes);
    return 1 + words;
}

static void take_words(struct object_intake *intake, struct session_header *session, struct live_blocks *blocks)
{
    struct survey *survey = session_survey(session);
    const uint64_t *ring = session_survey_ring(session);
    uint64_t head = atomic_load_explicit(&survey->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&survey->tail, memory_order_relaxed);
    while ((int64_t)(head - tail) > 0) {
        uint64_t word = ring[tail % SURVEY_RING_WORDS];
        if (SURVEY_KIND(word) == SURVEY_TEXT) {
            tail += take_text(intake, ring, tail, word);
        } else {
            take_word(intake, blocks, word);
            tail++;
        }
        if (tail % 65536 == 0)
            atomic_store_explicit(&survey->tail, tail, memory_order_release);
    }
    atomic_store_explicit(&survey->tail, head, memory_order_release);
}

/* ---- into the trace ---- */

struct pieces {
    struct object_intake *intake;
    struct trace_writer *writer;
    FILE *stream;
    char *text;
    size_t bytes;
};

static void end_piece(struct pieces *pieces)
{
    char key[40];
    snprintf(key, sizeof key, "objects.%u", pieces->intake->piece_count);
    if (!pieces->stream)
        return;
    if (fclose(pieces->stream) == 0) {
        process_property_put(pieces->writer, key, pieces->text);
        pieces->intake->piece_count++;
    }
    free(pieces->text);
    pieces->stream = NULL;
}

/* A piece begins with the survey that it is of. NULL: no memory. */
static FILE *piece(struct pieces *pieces)
{
    if (pieces->stream && fflush(pieces->stream) == 0 && pieces->bytes > PIECE_BYTES)
        end_piece(pieces);
    if (!pieces->stream) {
        pieces->stream = open_memstream(&pieces->text, &pieces->bytes);
        if (pieces->stream)
            fprintf(pieces->stream, "survey\t%u\n", pieces->intake->survey_count);
    }
    return pieces->stream;
}

static void write_sums(struct pieces *pieces, const struct object_sums *sums)
{
    for (uint32_t i = 0; i < sums->sum_count && i < MAX_WRITTEN_SUMS && piece(pieces); i++) {
        const struct object_sum *sum = &sums->sums[i];
        const char *type = sum->type_id < sums->type_count ? sums->types[sum->type_id] : NULL;
        fprintf(pieces->stream, "type\t%u\t%llu\t%llu\t%s\n", sum->stack_id, (unsigned long long)sum->count, (unsigned long long)sum->bytes,
                type ? type : "?");
    }
}

/* Of blocks that are still what they were when they were chosen. */
static void write_paths(struct pieces *pieces, const struct object_sums *sums, const struct live_slots *slots)
{
    for (uint32_t i = 0; i < sums->path_count && piece(pieces); i++) {
        const struct intake_target *target = &pieces->intake->targets[sums->paths[i].target];
        const struct live_slot *slot = &slots->slots[target->slot];
        if (live_slot_is_live(slot) && slot->sequence == target->sequence)
            fprintf(pieces->stream, "path\t%u\n%s", target->stack_id, sums->paths[i].steps);
    }
}

static void write_survey(struct object_intake *intake, struct trace_writer *writer, uint64_t time_ns)
{
    struct pieces pieces = {.intake = intake, .writer = writer};
    const struct object_sums *sums = &intake->sums;
    if (!piece(&pieces))
        return;
    intake->known_count = intake->known_bytes = 0;
    for (uint32_t i = 0; i < sums->sum_count; i++) {
        intake->known_count += sums->sums[i].count;
        intake->known_bytes += sums->sums[i].bytes;
    }
    fprintf(pieces.stream, "summary\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%u\n", (unsigned long long)time_ns,
            (unsigned long long)intake->pause_ns, (unsigned long long)intake->object_count, (unsigned long long)intake->unreached_count,
            (unsigned long long)intake->known_count, (unsigned long long)intake->known_bytes, intake->outcome);
    write_sums(&pieces, sums);
    write_paths(&pieces, sums, trace_writer_slots(writer));
    end_piece(&pieces);
    intake->survey_count++;
}

static const char *text_of_refusal(enum survey_outcome outcome)
{
    switch (outcome) {
    case SURVEY_NO_PYTHON:
        return "there is no Python interpreter at work in the process";
    case SURVEY_UNKNOWN_PYTHON:
        return "the objects of this Python can't be read: CPython 3.8 to 3.15, as their projects build them, can";
    case SURVEY_FREE_THREADED:
        return "the objects of a free-threaded Python can't be surveyed: without the GIL there is no moment at which all of them stand still";
    case SURVEY_SUBINTERPRETERS:
        return "the process runs several interpreters: only the objects of a single one can be surveyed";
    default:
        return "the process could not make the survey: the system refused it memory";
    }
}

/* The target waits: it goes on, and what it found goes into the trace. Returns 1: something did. */
static int end_survey(struct object_intake *intake, struct session_header *session, struct live_blocks *blocks)
{
    struct survey *survey = session_survey(session);
    uint32_t walked = SURVEY_WALKED;
    intake->outcome = survey->outcome;
    intake->object_count = survey->object_count;
    intake->unreached_count = survey->unreached_count;
    uint64_t start_ns = survey->start_ns, end_ns = clock_ns(CLOCK_MONOTONIC);
    object_sums_end(&intake->sums, trace_writer_slots(blocks->writer));
    int in_time = atomic_compare_exchange_strong(&session->survey_state, &walked, SURVEY_IDLE);
    futex_wake(&session->survey_state, 1 << 30);
    intake->pause_ns = end_ns > start_ns ? end_ns - start_ns : 0;
    if (!in_time)
        return refuse(intake, "the process went on before all its objects had been told: the machine is too busy");
    if (intake->outcome >= SURVEY_NO_PYTHON && intake->outcome <= SURVEY_SUBINTERPRETERS)
        return refuse(intake, text_of_refusal(intake->outcome));
    if (intake->sums.failed)
        return refuse(intake, "the collector has no memory for it");
    write_survey(intake, blocks->writer, start_ns - session->start_monotonic_ns);
    intake->state = INTAKE_DONE;
    return 1;
}

static int wait_on(struct object_intake *intake, struct session_header *session, uint64_t now_ns)
{
    uint32_t state = atomic_load(&session->survey_state);
    uint32_t refusal = atomic_load(&session_survey(session)->refusal);
    if (state == SURVEY_WALKING || state == SURVEY_WALKED) {
        intake->state = INTAKE_TAKING;
        intake->walking_since_ns = now_ns;
    } else if (state == SURVEY_WANTED && refusal != SURVEY_WHOLE) {
        object_intake_withdraw(intake, session, text_of_refusal(refusal));
    } else if (now_ns > intake->deadline_ns) {
        object_intake_withdraw(intake, session,
                               state == SURVEY_WANTED
                                   ? "no thread of the process has allocated, freed or copied anything meanwhile: it is idle or stopped"
                                   : "the process came to no safe point in time: its main thread runs no Python code (it waits, or is inside C code)");
    }
    return 0;
}

int object_intake_step(struct object_intake *intake, struct session_header *session, struct live_blocks *blocks, uint64_t now_ns)
{
    int is_walked = atomic_load(&session->survey_state) == SURVEY_WALKED;
    if (intake->state == INTAKE_WAITING)
        return wait_on(intake, session, now_ns);
    if (intake->state != INTAKE_TAKING || now_ns < intake->walking_since_ns + SETTLE_NS)
        return 0;
    if (!intake->sums.seen && !object_sums_init(&intake->sums, trace_writer_slots(blocks->writer)->used_count))
        intake->sums.failed = 1;
    if (!intake->sums.failed)
        take_words(intake, session, blocks);
    else
        atomic_store(&session_survey(session)->tail, atomic_load(&session_survey(session)->head));
    if (!is_walked && atomic_load(&session->survey_state) == SURVEY_WALKING)
        return 0;
    if (!is_walked && atomic_load(&session->survey_state) == SURVEY_WALKED)
        return 0; /* its last words are there at the next look */
    int done = end_survey(intake, session, blocks);
    forget(intake);
    return done;
}

void object_intake_tell(const struct object_intake *intake, char *text, size_t capacity)
{
    static const char *const names[] = {
        [INTAKE_NONE] = "none", [INTAKE_WAITING] = "waiting", [INTAKE_TAKING] = "waiting", [INTAKE_DONE] = "done", [INTAKE_FAILED] = "failed",
    };
    snprintf(text, capacity, "state=%s\nsurvey=%u\nreason=%s\n", names[intake->state], intake->survey_count, intake->reason);
}
