/* A stand-in for the recorder: fills a session's rings and definitions as lib/capture does, word by word, so that the collector can be
 * tested without it; and reads back what became of it. One player a thread slot; a player belongs to one thread. */
#ifndef HEAPLINE_TESTS_SESSION_FIXTURE_H
#define HEAPLINE_TESTS_SESSION_FIXTURE_H

#include "session.h"
#include "trace_event.h"
#include "trace_reader.h"

/* A new session for this process, as the recorder would lay it out. */
struct session_header *session_new(int *ret_memfd, const char *output_path, uint32_t flags);
void session_free(struct session_header *session, int memfd);

struct player {
    struct session_header *session;
    struct session_thread *shared;
    uint32_t slot;
    uint64_t ring, ring_words; /* word offsets from the session's start */
    uint64_t cursor;
    uint64_t order;            /* the order word under which it may write */
    int stamping;
};

/* Take a thread slot and a ring of so many words at this word offset in the ring space. Slots are taken in order. */
void player_init(struct player *player, struct session_header *session, uint64_t ring_offset, uint64_t ring_words);

/* One word at the cursor; a PAD and the ring's start when fewer than `needed` words are left. Nothing is visible before player_publish. */
void player_reserve(struct player *player, unsigned needed);
void player_put(struct player *player, uint64_t word);
void player_publish(struct player *player);
void player_jump(struct player *player, uint64_t ring_offset, uint64_t ring_words);

/* Own an epoch, by the order word as the recorder does it. parallel: make the epoch a parallel one, or join the one that is. */
void player_claim(struct player *player, int parallel);
void player_run(struct player *player, uint64_t epoch, uint64_t ticks);

/* Whole events, unpublished; a parallel epoch's are stamped with these ticks. */
void player_allocate(struct player *player, unsigned opcode, uint64_t address, uint64_t size, uint32_t stack, uint64_t ticks);
void player_free(struct player *player, unsigned opcode, uint64_t address, uint64_t ticks);
void player_map(struct player *player, uint64_t address, uint64_t length, uint32_t stack, unsigned flags, uint64_t ticks);
void player_unmap(struct player *player, uint64_t address, uint64_t length, uint64_t ticks);

/* Wait until the collector has taken so much that `words` more fit (as one ring's worth at most). Returns 0: it doesn't come. */
int player_wait_for_room(struct player *player, uint64_t words);

void session_define(struct session_header *session, enum definition_type type, const void *fixed, size_t fixed_bytes, const void *text,
                    size_t text_bytes);
/* A native stack of this number without module. */
void session_define_node(struct session_header *session, uint32_t node_id, uint32_t parent_id, uint64_t address);

/* ---- reading back ---- */

struct trace_listing {
    struct trace_overview overview;
    struct trace_totals totals;  /* of all events read */
    struct trace_event *events;
    size_t event_count;
    uint64_t live_count, live_bytes;
    uint32_t thread_count;
    char text[1 << 16];          /* definitions, one a line */
};

/* All of a trace. Fails the test when it can't be read. Freed with trace_listing_free. */
struct trace_listing *trace_listing_read(const char *path);
void trace_listing_free(struct trace_listing *listing);
/* Events that change the heap or copy, as text: "a16/1 f0 s…". */
char *trace_listing_text(const struct trace_listing *listing);

#endif
