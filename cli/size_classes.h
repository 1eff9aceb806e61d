/* How large the blocks of a trace are: counted from its events, by powers of two and by stack.
 *
 * class 0 holds blocks of no bytes, class 1 those of 1 to 8, each further one up to twice as much.
 * Arenas of Python's are no allocations; the objects in them are. In a sampled trace each block counts for as many as it stands for.
 * Memory: 40 bytes a stack and class that occur together, and the trace's live blocks. Aborts without memory. */
#ifndef HEAPLINE_CLI_SIZE_CLASSES_H
#define HEAPLINE_CLI_SIZE_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#define SIZE_CLASSES 62

/* Of a sample: the variance of a count, and the most that one block added to it (estimate.h). */
struct size_error {
    double variance, largest;
};

struct size_class {
    double allocations, allocated_bytes;
    double peak_allocations, peak_bytes;   /* live at the high-water mark */
    double live_allocations, live_bytes;   /* live at the end */
    struct size_error error, peak_error, live_error;
};

/* What one stack allocated of one class. */
struct stack_sizes {
    uint32_t stack_id;
    uint32_t size_class; /* one more; 0: a free place of the hash table */
    double allocations, allocated_bytes;
    struct size_error error;
};

struct size_classes {
    struct size_class classes[SIZE_CLASSES];
    struct stack_sizes *stacks; /* hash table: skip free places */
    size_t stack_count, stack_capacity;
    int knows_peak, knows_end;  /* a bounded trace lists only its first events: `live_…` and perhaps `peak_…` are then not known */
    int is_sampled;             /* figures are estimates */
};

/* Smallest and largest size of a class. */
uint64_t size_class_least(unsigned size_class);
uint64_t size_class_most(unsigned size_class);

/* Reads the whole trace, as far as it is good. Exits where it can't be read. */
void size_classes_read(const char *trace_path, struct size_classes *ret_sizes);
void size_classes_free(struct size_classes *sizes);
void size_error_add(struct size_error *sum, const struct size_error *error);

#endif
